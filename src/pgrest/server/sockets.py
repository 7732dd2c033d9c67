"""The sockets that requests come in on, taken before anything else is started."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgrest.server.errors import GivingUpError
from pgrest.settings import Binding

_BACKLOG = 2048
_SIX = socket.AF_INET6
_CHOICES: dict[str, Callable[[list[socket.AddressFamily]], list[socket.AddressFamily]]] = {
    "*": lambda families: families,
    "*4": lambda families: sorted(families, key=lambda family: family == _SIX),
    "*6": lambda families: sorted(families, key=lambda family: family != _SIX),
    "!4": lambda families: [family for family in families if family != _SIX],
    "!6": lambda families: [family for family in families if family == _SIX],
}
"""What PostgREST's special hosts mean."""


def is_special_host(host: str) -> bool:
    return host in _CHOICES


def bind(binding: Binding) -> tuple[socket.socket, socket.socket | None]:
    """Of requests, and of the admin server if there is to be one. GivingUpError says what cannot be used."""
    if binding.socket is not None:
        listener = _bind_path(binding.socket, binding.socket_mode)
    else:
        listener = _bind_host("server", binding.host, binding.port)
    if binding.admin_port is None:
        return listener, None
    try:
        return listener, _bind_host("admin-server", binding.admin_host, binding.admin_port)
    except GivingUpError:
        listener.close()
        raise


def describe_address(listener: socket.socket) -> str:
    """As in `127.0.0.1:3000`, `[::1]:3000` or `/tmp/api.sock`."""
    address = listener.getsockname()
    if isinstance(address, str):
        return address
    return f"[{address[0]}]:{address[1]}" if listener.family == _SIX else f"{address[0]}:{address[1]}"


def _bind_host(prefix: str, host: str, port: int) -> socket.socket:
    """On the first of its addresses that can be used."""
    reason = "there is no such address"
    for family, address in _list_addresses(prefix, host, port):
        try:
            return _listen_on(family, address, only_six=host == "!6")
        except OSError as error:
            reason = error.strerror or str(error)
    raise GivingUpError(f"{prefix}-port {port} of {prefix}-host {host} cannot be used: {reason}.")


def _listen_on(family: socket.AddressFamily, address: Any, *, only_six: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == _SIX:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_six))
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _list_addresses(prefix: str, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    choose = _CHOICES.get(host, list)
    name = None if is_special_host(host) else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise GivingUpError(f"{prefix}-host {host} is no address of this machine.") from None
    families = choose(list(dict.fromkeys(family for family, *_ in found)))
    return [(family, one[4]) for family in families for one in found if one[0] == family]


def _bind_path(path: str, mode: int) -> socket.socket:
    if os.path.lexists(path):
        _remove_old_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        Path(path).chmod(mode)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise GivingUpError(f"server-unix-socket {path} cannot be used: {error.strerror or error}.") from None
    return listener


def _remove_old_socket(path: str) -> None:
    """Removes a socket that an earlier server has left; refuses any other file, which is not ours to remove."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise GivingUpError(f"server-unix-socket {path} is a file, and no socket.")
    try:
        Path(path).unlink()
    except OSError as error:
        raise GivingUpError(f"server-unix-socket {path} cannot be used: {error.strerror}.") from None
