"""Serves the built scripts and styles under names that change with their content, so that browsers cache them."""

import asyncio
import gzip
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from basewarden.errors import MethodNotAllowed, NotFound

_PREFIX = "/static/build/"
_NAME: Final = re.compile(r"[\w-]+-[A-Z0-9]{8}\.(?:js|css|svg|woff2)\Z")
_MAX_RATIO = 0.9
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    """`compressed` is None where compression saves too little."""

    media_type: str
    content: bytes
    compressed: bytes | None


class BuiltFiles:
    """Reads and compresses each file once, at its first request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        file = await self._find(scope["path"].removeprefix(_PREFIX))
        headers = {"cache-control": _IMMUTABLE, "vary": "accept-encoding"}
        content = file.content
        if file.compressed is not None and accepts_gzip(scope):
            content = file.compressed
            headers["content-encoding"] = "gzip"
        await Response(content, media_type=file.media_type, headers=headers)(scope, receive, send)

    async def _find(self, name: str) -> _File:
        if not _NAME.match(name):
            raise NotFound
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = await asyncio.to_thread(_load, self._folder / name)
        return file


def accepts_gzip(scope: Any) -> bool:
    """Whether the client accepts gzip; of the quality values only `q=0` is recognized."""
    values = [value for name, value in scope["headers"] if name == b"accept-encoding"]
    offered = b",".join(values).replace(b" ", b"").lower().split(b",")
    return any(offer == b"gzip" or (offer.startswith(b"gzip;q=") and offer != b"gzip;q=0") for offer in offered)


def _load(path: Path) -> _File:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound from None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    compressed = gzip.compress(content, 9, mtime=0)
    return _File(media_type, content, compressed if len(compressed) < len(content) * _MAX_RATIO else None)
