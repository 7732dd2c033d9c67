"""Sends PostgreSQL's SSLRequest over a socket, which distinguishes failures that libpq only describes in prose.

These are: no listener, no answer, another service, TLS offered or not.
"""

import asyncio
import struct
from typing import Final

from basewarden.connections.errors import ConnectionFailed, Reason

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 3.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_OFFERS_TLS: Final = {b"S": True, b"N": False}


async def check_tls_support(addresses: tuple[str, ...], port: int) -> bool:
    """True when the server offers TLS. Raises ConnectionFailed when PostgreSQL answers at none of the addresses."""
    failure = ConnectionFailed(Reason.UNRESOLVED)
    for address in addresses:
        try:
            return await _check_address(address, port)
        except ConnectionFailed as error:
            failure = error
    raise failure


async def _check_address(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise ConnectionFailed(_explain(error)) from None
    try:
        return await _request_tls(reader, writer)
    finally:
        writer.close()


async def _request_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """PostgreSQL answers with one byte and waits; a service with a banner ("SSH-2.0") sends more."""
    writer.write(_SSL_REQUEST)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await writer.drain()
            answer = await reader.read(64)
    except TimeoutError:
        raise ConnectionFailed(Reason.NOT_POSTGRES) from None
    except OSError:
        answer = b""
    if answer not in _OFFERS_TLS:
        raise ConnectionFailed(Reason.NOT_POSTGRES)
    return _OFFERS_TLS[answer]


def _explain(error: OSError) -> Reason:
    if isinstance(error, ConnectionRefusedError):
        return Reason.REFUSED
    return Reason.TIMED_OUT if isinstance(error, TimeoutError) else Reason.UNREACHABLE
