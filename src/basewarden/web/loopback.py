"""Redirects between the names of this machine, since cookies and the origin check distinguish them."""

from typing import Any
from urllib.parse import urlsplit

from basewarden.settings import Settings

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class LoopbackAlias:
    """Finds the address of a page that was requested under another loopback name."""

    def __init__(self, settings: Settings) -> None:
        own = urlsplit(settings.origin)
        self._origin = settings.origin
        self._host = own.hostname
        self._port = own.port

    def find_redirect(self, scope: Any) -> str | None:
        """Returns an address for GET and HEAD of pages only, and never one of another host."""
        if self._host not in _NAMES or scope["method"] not in ("GET", "HEAD"):
            return None
        if scope["path"].startswith(("/api/", "/static/")):
            return None
        asked = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        try:
            parts = urlsplit(f"//{asked}")
            is_alias = parts.hostname in _NAMES and parts.hostname != self._host and parts.port == self._port
        except ValueError:
            return None
        if not is_alias:
            return None
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", b"/").decode("latin-1")
        return f"{self._origin}{path}{'?' + query if query else ''}"
