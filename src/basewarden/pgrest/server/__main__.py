import sys

from basewarden.pgrest.server.command import main

if __name__ == "__main__":
    sys.exit(main())
