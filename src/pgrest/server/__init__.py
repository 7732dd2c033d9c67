"""PostgREST's contract for one database as a server of its own: `basewarden rest`."""

from pgrest.server.app import RestServer

__all__ = ["RestServer"]
