"""Fetches one file of a site: from an address that was resolved, checked and pinned, with bounded time and size."""

import zlib
from dataclasses import dataclass
from typing import Final

from basewarden import __version__
from basewarden.connections import ConnectionFailed
from basewarden.connections.rest import (
    HTTPConnection,
    HTTPFailure,
    NoResponse,
    ProtocolError,
    ReadTimeout,
    connect_http,
    make_tls_context,
)
from basewarden.sentry.leaks.site_urls import SiteURL

MOST_FILE_BYTES: Final = 4_000_000
_CONNECT_SECONDS: Final = 5.0
_HEAD_SECONDS: Final = 8.0
_IDLE_SECONDS: Final = 4.0
_USUAL_PORTS: Final = frozenset({80, 443})
_WINDOW_BITS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


class SiteFetchError(Exception):
    """The text says in a sentence why a file could not be read, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """`location` is where a redirect leads. `size` is that of what is looked through, which may have been compressed.

    `is_cut`: there is more of it than MOST_FILE_BYTES.
    """

    url: SiteURL
    status: int
    is_page: bool
    text: str
    size: int = 0
    is_cut: bool = False
    location: str | None = None


async def fetch_file(url: SiteURL, *, allow_private: bool) -> FetchedFile:
    """Raises SiteFetchError. Redirects are the caller's."""
    if not allow_private and url.address.port not in _USUAL_PORTS:
        raise SiteFetchError("Only the ports 80 and 443 are asked.")
    try:
        connection = await connect_http(
            url.address,
            allow_private=allow_private,
            tls=make_tls_context() if url.address.is_encrypted else None,
            seconds=_CONNECT_SECONDS,
            on_lost=lambda _: None,
        )
        try:
            return await _exchange(connection, url)
        finally:
            connection.abort()
    except ConnectionFailed as error:
        raise SiteFetchError(error.text) from None
    except HTTPFailure as error:
        raise SiteFetchError(_explain(error)) from None


async def _exchange(connection: HTTPConnection, url: SiteURL) -> FetchedFile:
    connection.start(_make_head(url), is_head=False, head_seconds=_HEAD_SECONDS, idle_seconds=_IDLE_SECONDS)
    await connection.read_head()
    headers = dict(connection.headers)
    if 300 <= connection.status < 400 and b"location" in headers:
        location = headers[b"location"].decode("latin-1")
        return FetchedFile(url, connection.status, is_page=False, text="", location=location)
    body = await connection.read_start(MOST_FILE_BYTES + 1) if connection.status == 200 else b""
    text = _decompress(body[:MOST_FILE_BYTES], headers.get(b"content-encoding", b"").strip().lower())
    return FetchedFile(
        url,
        connection.status,
        is_page=b"html" in headers.get(b"content-type", b"").lower(),
        text=text.decode(errors="replace"),
        size=max(len(body), len(text)),
        is_cut=len(body) > MOST_FILE_BYTES or len(text) >= MOST_FILE_BYTES,
    )


def _decompress(body: bytes, encoding: bytes) -> bytes:
    """Some servers compress though they were asked not to."""
    if encoding in (b"", b"identity"):
        return body
    if encoding not in _WINDOW_BITS:
        raise SiteFetchError("It is compressed in a way that is not read here.")
    try:
        return zlib.decompressobj(_WINDOW_BITS[encoding]).decompress(body, MOST_FILE_BYTES)
    except zlib.error:
        raise SiteFetchError("It is not compressed as it says.") from None


def _make_head(url: SiteURL) -> bytes:
    lines = [
        f"GET {url.path} HTTP/1.1",
        f"host: {url.address.authority}",
        f"user-agent: Mozilla/5.0 (compatible; basewarden/{__version__}; leak scan)",
        "accept: */*",
        "accept-encoding: identity",
        "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _explain(error: HTTPFailure) -> str:
    if isinstance(error, NoResponse):
        return "The server closed the connection without an answer."
    if isinstance(error, ProtocolError):
        return "The answer is not valid HTTP, or does not say how long it is."
    return "It took too long." if isinstance(error, ReadTimeout) else "The answer was cut off."
