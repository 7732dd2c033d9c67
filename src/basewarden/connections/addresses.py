"""Which hosts we connect to: resolved once, checked, and pinned, so that a name cannot change in between."""

import asyncio
import ipaddress
import socket
from typing import Final

from basewarden.connections.errors import ConnectionFailed, Reason

_RESOLVE_SECONDS = 4.0
_MOST_ADDRESSES = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # public by its number, yet the host of every Azure machine
        "192.0.0.0/24",
        "192.88.99.0/24",
        "fec0::/10",
    )
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


async def pin_host(host: str, port: int, *, allow_private: bool) -> tuple[str, ...]:
    """The addresses of a host, all of them fit to connect to; one unfit among them spoils the name."""
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT) from None
    except (OSError, UnicodeError):
        raise ConnectionFailed(Reason.UNRESOLVED) from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(is_allowed(address, allow_private=allow_private) for address in addresses):
        raise ConnectionFailed(Reason.ADDRESS_REFUSED)
    return addresses[:_MOST_ADDRESSES]


def is_allowed(text: str, *, allow_private: bool) -> bool:
    address = _unwrap(ipaddress.ip_address(text))
    if address.is_multicast:
        return False
    return allow_private or (address.is_global and not any(address in network for network in _NEVER))


def _unwrap(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one stands for: it is where the packets go."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    return inner or address
