from dataclasses import replace

import pytest

from basewarden.connections.addresses import is_allowed, is_local_host, pin_host
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.probe import ServerFacts
from basewarden.connections.warnings import list_warnings

REFUSED = [
    "0.0.0.0",  # noqa: S104 - to be refused
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1::1",
    "64:ff9b::a00:1",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "5f00::1",
    "3fff::1",
    "4000::1",
    "2001:2::1",
    "2001:20::1",
    "2001:0:808:808::f5ff:fffe",  # Teredo with 10.0.0.1 inside
    "2001:0:7f00:1::f7f7:f7f7",  # Teredo by a server at 127.0.0.1
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_the_internet_are_refused(address: str) -> None:
    assert not is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"])
def test_private_ones_are_allowed_by_the_setting_and_multicast_never(address: str) -> None:
    assert is_allowed(address, allow_private=True)
    assert not is_allowed("224.0.0.1", allow_private=True)
    assert not is_allowed("ff02::1", allow_private=True)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "017700000001", "::1", "0"])
async def test_every_spelling_of_loopback_is_seen_through(host: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await pin_host(host, 5432, allow_private=False)
    assert caught.value.reason is Reason.ADDRESS_REFUSED


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_a_loopback_address_is_on_this_machine(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "1.1.1.1", "fd00::1", ""])
def test_other_addresses_are_not_on_this_machine(host: str) -> None:
    assert not is_local_host(host)


def test_a_connection_without_encryption_is_a_warning_unless_it_stays_on_this_machine() -> None:
    facts = ServerFacts("18", "app", False, False, False, False, 1, 1, 1, uses_tls=False, latency_ms=1, roles=())
    titles = [warning.title for warning in list_warnings(facts, None)]
    assert titles == ["The connection is not encrypted"]
    assert not list(list_warnings(replace(facts, is_local=True), None))
