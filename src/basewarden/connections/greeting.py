"""The first words of PostgreSQL's protocol, spoken by ourselves.

What libpq puts into prose a socket tells exactly: nobody there, no answer, somebody else, TLS or not.
"""

import asyncio
import struct
from typing import Final

from basewarden.connections.errors import ConnectionFailed, Reason

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 3.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_OFFERS_TLS: Final = {b"S": True, b"N": False}


async def greet_server(addresses: tuple[str, ...], port: int) -> bool:
    """Whether the server offers TLS; ConnectionFailed when no address is a PostgreSQL that answers."""
    failure = ConnectionFailed(Reason.UNRESOLVED)
    for address in addresses:
        try:
            return await _greet(address, port)
        except ConnectionFailed as error:
            failure = error
    raise failure


async def _greet(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise ConnectionFailed(_explain(error)) from None
    try:
        return await _ask_for_tls(reader, writer)
    finally:
        writer.close()


async def _ask_for_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """A PostgreSQL says one byte and waits; a service with a banner ("SSH-2.0") says more."""
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
