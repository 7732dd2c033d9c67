"""PostgreSQL that comes with the program: started, adopted where it runs, stopped by its owner."""

from basewarden.db.embedded.errors import EmbeddedError
from basewarden.db.embedded.server import EmbeddedServer, start_embedded

__all__ = ["EmbeddedError", "EmbeddedServer", "start_embedded"]
