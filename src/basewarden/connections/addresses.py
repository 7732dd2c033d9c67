"""Resolves, checks and pins hosts, so that a name cannot change between the check and the connection."""

import asyncio
import ipaddress
import socket
from typing import Final

from basewarden.connections.errors import ConnectionFailed, Reason

_RESOLVE_SECONDS = 4.0
_MAX_ADDRESSES = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
"""Global unicast. All translation prefixes, and 5f00::/16, are outside of it."""
_RESERVED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        # IANA's registries of special-purpose addresses; Python's `ipaddress` may know an older version.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a public address that reaches the host of every Azure machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_local_host(host: str) -> bool:
    """True when packets to this host never leave the machine: a loopback address, or the name that stands for one."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return all(address.is_loopback for address in _unwrap(ipaddress.ip_address(host.strip("[]"))))
    except ValueError:
        return False


async def pin_host(host: str, port: int, *, allow_private: bool) -> tuple[str, ...]:
    """Returns the addresses of a host. Raises ConnectionFailed if any of them may not be connected to."""
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
    return addresses[:_MAX_ADDRESSES]


def is_allowed(text: str, *, allow_private: bool) -> bool:
    return all(_is_public(address, allow_private=allow_private) for address in _unwrap(ipaddress.ip_address(text)))


def _is_public(address: IPAddress, *, allow_private: bool) -> bool:
    if address.is_multicast:
        return False
    if allow_private:
        return True
    is_routed = isinstance(address, ipaddress.IPv4Address) or address in _GLOBAL_IPV6
    return is_routed and address.is_global and not any(address in network for network in _RESERVED)


def _unwrap(address: IPAddress) -> tuple[IPAddress, ...]:
    """Returns the IPv4 addresses that an IPv6 address embeds, which is where the packets go."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.teredo is not None:
        return address.teredo
    inner = address.ipv4_mapped or address.sixtofour
    return (inner,) if inner is not None else (address,)
