"""Opens HTTP connections to hosts that people name: each to an address that was resolved and checked just before."""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache

from basewarden.connections.addresses import pin_host
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.http_connection import HTTPConnection
from basewarden.connections.rest.urls import RestAddress


async def connect_http(
    address: RestAddress,
    *,
    allow_private: bool,
    tls: ssl.SSLContext | None,
    seconds: float,
    on_lost: Callable[[HTTPConnection], None],
) -> HTTPConnection:
    """Connects to the first of the host's current addresses that answers. Raises ConnectionFailed."""
    addresses = await pin_host(address.host, address.port, allow_private=allow_private)
    failure = ConnectionFailed(Reason.TIMED_OUT)
    try:
        async with asyncio.timeout(seconds):
            for pinned in addresses:
                try:
                    return await _connect_to(pinned, address, tls, on_lost)
                except OSError as error:
                    failure = ConnectionFailed(explain_os_error(error))
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT) from None
    raise failure


async def _connect_to(
    pinned: str, address: RestAddress, tls: ssl.SSLContext | None, on_lost: Callable[[HTTPConnection], None]
) -> HTTPConnection:
    loop = asyncio.get_running_loop()
    name = address.host if tls is not None else None
    _, connection = await loop.create_connection(
        lambda: HTTPConnection(on_lost), pinned, address.port, ssl=tls, server_hostname=name
    )
    return connection


@cache
def make_tls_context() -> ssl.SSLContext:
    """Verifies the certificate against the host name, whatever address was pinned."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def explain_os_error(error: OSError) -> Reason:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason.CERTIFICATE_INVALID
    if isinstance(error, ssl.SSLError):
        return Reason.TLS_REFUSED
    if isinstance(error, ConnectionRefusedError):
        return Reason.REFUSED
    return Reason.TIMED_OUT if isinstance(error, TimeoutError) else Reason.UNREACHABLE
