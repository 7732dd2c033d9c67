"""What the hosts with a special meaning listen on."""

import socket

import pytest

from pgrest.server.errors import GivingUpError
from pgrest.server.sockets import bind, describe_address
from pgrest.settings import Binding
from tests.fixtures.ports import reserve_port


def reaches(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((address, port)) == 0


def can_use_six() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "four", "six"),
    [("127.0.0.1", True, False), ("!4", True, False), ("*4", True, None), ("*", True, None), ("*6", True, True), ("!6", False, True), ("::1", False, True)],
)  # fmt: skip
def test_each_host_is_heard_where_it_should_be(host: str, four: bool, six: bool | None) -> None:
    if six and not can_use_six():
        pytest.skip("this machine has no IPv6")
    listener, admin = bind(Binding(host=host, port=reserve_port()))
    with listener:
        port = listener.getsockname()[1]
        assert admin is None
        assert describe_address(listener).endswith(f":{port}")
        assert reaches(socket.AF_INET, "127.0.0.1", port) is four
        if six is not None and can_use_six():
            assert reaches(socket.AF_INET6, "::1", port) is six


def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", reserve_port()))
        taken.listen()
        with pytest.raises(GivingUpError, match="admin-server-port"):
            bind(
                Binding(
                    host="127.0.0.1",
                    port=(port := reserve_port()),
                    admin_host="127.0.0.1",
                    admin_port=taken.getsockname()[1],
                )
            )
        assert not reaches(socket.AF_INET, "127.0.0.1", port)
