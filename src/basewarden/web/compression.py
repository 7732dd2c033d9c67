"""Compresses pages whose length cannot reveal their content to an attacker on the network (BREACH).

Such an attacker must make the victim's browser request many variants of a page. Browsers send where a request comes
from (`Sec-Fetch-Site`), so only requests of this site's own pages, or typed by the person, get compressed responses.
Responses with a secret, responses to forms and everything under `/api/` are never compressed. See
`docs/decisions/0028-compress-responses-without-secrets.md`.
"""

import asyncio
import gzip
from typing import Any, Final

from basewarden.web.static import accepts_encoding

_SMALLEST = 1024
_LARGE = 64 * 1024
_LEVEL = 8
_OWN: Final = (b"same-origin", b"none")
_NEVER: Final = ("/api/", "/static/", "/reset/", "/verify-email/", "/invitations/", "/settings/account/2fa")


class Compression:
    """ASGI middleware around the pages."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        may = scope["type"] == "http" and may_compress(scope)
        await self._app(scope, receive, _Compressor(send).send if may else send)


def may_compress(scope: Any) -> bool:
    if scope["method"] != "GET" or scope["path"].startswith(_NEVER):
        return False
    is_own = any(name == b"sec-fetch-site" and value in _OWN for name, value in scope["headers"])
    return is_own and accepts_encoding(scope, "gzip")


class _Compressor:
    """Holds back the start of a response until its body arrives, if it is a page in one piece."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._start: dict[str, Any] | None = None

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = dict(message)
            return
        if self._start is not None:
            start, self._start = self._start, None
            message = await self._compress(start, message)
            await self._send(start)
        await self._send(message)

    async def _compress(self, start: dict[str, Any], message: Any) -> Any:
        body = message.get("body", b"")
        if message.get("more_body") or len(body) < _SMALLEST:
            return message
        if len(body) < _LARGE:
            packed = gzip.compress(body, _LEVEL, mtime=0)
        else:
            packed = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
        kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
        start["headers"] = [
            *kept,
            (b"content-length", b"%d" % len(packed)),
            (b"content-encoding", b"gzip"),
            (b"vary", b"accept-encoding, sec-fetch-site"),
        ]
        return {**message, "body": packed}


def _is_page(message: Any) -> bool:
    headers = dict(message["headers"])
    is_html = headers.get(b"content-type", b"").startswith(b"text/html")
    return message["status"] == 200 and is_html and b"content-encoding" not in headers
