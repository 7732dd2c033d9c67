"""Serves the built scripts and styles under names that change with their content, so that browsers cache them."""

import asyncio
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from basewarden.errors import MethodNotAllowed, NotFound

_PREFIX = "/static/build/"
_NAME: Final = re.compile(r"[\w-]{1,100}-[A-Z0-9]{8}\.(?:js|css|svg|woff2)\Z", re.ASCII)
_MAX_RATIO = 0.9
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""Written beside each file when the assets are built."""
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    """`encoded` has the content in the encodings that save enough, the smallest first."""

    media_type: str
    content: bytes
    encoded: tuple[tuple[str, bytes], ...]


class BuiltFiles:
    """Reads each file once, at its first request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"Allow": "GET, HEAD"})
        file = await self._find(scope["path"].removeprefix(_PREFIX))
        headers = {"cache-control": _IMMUTABLE, "vary": "accept-encoding"}
        content = file.content
        for encoding, encoded in file.encoded:
            if accepts_encoding(scope, encoding):
                content = encoded
                headers["content-encoding"] = encoding
                break
        await Response(content, media_type=file.media_type, headers=headers)(scope, receive, send)

    async def _find(self, name: str) -> _File:
        if not _NAME.match(name):
            raise NotFound
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = await asyncio.to_thread(_load, self._folder / name)
        return file


def accepts_encoding(scope: Any, encoding: str) -> bool:
    """Whether the client accepts `gzip` or `br`; of the quality values only `q=0` is recognized."""
    name = encoding.encode()
    values = [value for header, value in scope["headers"] if header == b"accept-encoding"]
    offered = b",".join(values).replace(b" ", b"").lower().split(b",")
    return any(offer == name or (offer.startswith(name + b";q=") and offer != name + b";q=0") for offer in offered)


def _load(path: Path) -> _File:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound from None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    encoded = [
        (encoding, beside.read_bytes())
        for encoding, suffix in _ENCODINGS
        if (beside := path.with_name(path.name + suffix)).exists()
    ]
    return _File(media_type, content, tuple(pair for pair in encoded if len(pair[1]) < len(content) * _MAX_RATIO))
