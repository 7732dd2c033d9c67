"""The demo's sign-in link, without a server."""

import pytest

from basewarden.demo import SigninLink

LOCAL = "127.0.0.1"


def token_of(link: SigninLink) -> str:
    return link.path.removeprefix("/demo/")


@pytest.mark.parametrize("address", [LOCAL, "127.8.8.8", "::1"])
def test_it_works_once_on_this_machine(address: str) -> None:
    link = SigninLink()
    token = token_of(link)
    assert link.redeem(token, address)
    assert not link.redeem(token, address)
    assert not link.redeem("None", address)


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "::", "fe80::1", "localhost", "", None])
def test_no_other_machine_can_use_it_up(address: str | None) -> None:
    link = SigninLink()
    token = token_of(link)
    assert not link.redeem(token, address)
    assert link.redeem(token, LOCAL)


@pytest.mark.parametrize("guess", ["", "agent", "None", "\u00e9", "x" * 5000])
def test_a_wrong_token_neither_works_nor_uses_it_up(guess: str) -> None:
    link = SigninLink()
    assert not link.redeem(guess, LOCAL)
    assert link.redeem(token_of(link), LOCAL)


def test_each_start_has_another_link() -> None:
    assert SigninLink().path != SigninLink().path
