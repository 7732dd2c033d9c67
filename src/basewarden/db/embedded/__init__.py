"""The PostgreSQL that comes with the program: starts it, or uses one that runs already."""

from basewarden.db.embedded.errors import EmbeddedError
from basewarden.db.embedded.server import EmbeddedServer, start_embedded

__all__ = ["EmbeddedError", "EmbeddedServer", "start_embedded"]
