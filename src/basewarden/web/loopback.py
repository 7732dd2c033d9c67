"""One name for this machine: cookies and the origin check tell `localhost` and `127.0.0.1` apart, people do not."""

from typing import Any
from urllib.parse import urlsplit

from basewarden.settings import Settings

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class LoopbackAlias:
    """Finds where a page that was asked for under another loopback name really lives."""

    def __init__(self, settings: Settings) -> None:
        own = urlsplit(settings.origin)
        self._origin = settings.origin
        self._host = own.hostname
        self._port = own.port

    def find_redirect(self, scope: Any) -> str | None:
        """Only between names of this machine, only for reading a page: never a way to another host."""
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
