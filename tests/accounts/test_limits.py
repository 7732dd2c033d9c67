"""Guessing is limited, whatever else rolls back, restarts or runs beside it."""

import asyncio
import ipaddress
from collections import Counter
from datetime import timedelta

import httpx
import pytest

from basewarden.accounts import Limit
from tests.fixtures.app import PASSWORD, Serve, ServedProduct, tight_limits
from tests.fixtures.twofactor import Protect, StepClock
from tests.fixtures.waiting import wait_until

ANNA = "anna@example.com"
WRONG = "wrong guess"
ROOMY = Limit(10_000, 300)
DEVICE = "basewarden.device"
PROXIES = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}


async def guess(client: httpx.AsyncClient, email: str = ANNA, password: str = WRONG) -> httpx.Response:
    return await client.post("/api/auth/signin", json={"email": email, "password": password})


async def guess_from(client: httpx.AsyncClient, place: str, email: str = ANNA, password: str = WRONG) -> httpx.Response:
    client.headers["x-forwarded-for"] = place
    return await guess(client, email, password)


async def sign_up(client: httpx.AsyncClient, email: str = ANNA) -> httpx.Response:
    return await client.post("/api/auth/signup", json={"email": email, "password": PASSWORD})


async def test_ten_wrong_ones_then_the_right_one_is_429_also_after_a_restart(serve: Serve) -> None:
    client = await (await serve()).client()
    await sign_up(client)
    assert [(await guess(client)).status_code for _ in range(11)] == [401] * 10 + [429]
    blocked = await guess(client, password=PASSWORD)
    assert (blocked.status_code, blocked.json()["code"]) == (429, "rate_limited")
    assert 0 < int(blocked.headers["retry-after"]) <= 300

    restarted = await (await serve()).client()
    assert (await guess(restarted, password=PASSWORD)).status_code == 429


async def test_an_account_is_locked_for_every_address_and_an_unknown_one_alike(serve: Serve) -> None:
    product = await serve(limits=tight_limits(signin_address=ROOMY))
    client = await product.client()
    await sign_up(client)
    known = [(await guess(client)).json() for _ in range(12)]
    unknown = [(await guess(client, "nobody@example.com")).json() for _ in range(12)]
    assert known == unknown
    assert known[-1]["code"] == "rate_limited"
    assert (await guess(client, "other@example.com")).status_code == 401


async def test_a_hundred_guesses_at_once_get_no_further_than_ten(product: ServedProduct) -> None:
    client = await product.client()
    await sign_up(client)
    answers = await asyncio.gather(*(guess(client) for _ in range(100)))
    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 90}


async def test_success_is_no_failure(product: ServedProduct) -> None:
    client = await product.client()
    await sign_up(client)
    for _ in range(9):
        assert (await guess(client)).status_code == 401
    for _ in range(5):
        assert (await guess(client, password=PASSWORD)).status_code == 200
    client.cookies.clear()  # else this browser is recognised
    assert [(await guess(client)).status_code for _ in range(2)] == [401, 429]


async def test_a_blocked_address_does_not_lock_the_account_out(serve: Serve) -> None:
    limits = tight_limits(signin_address=Limit(3, 300), signin_account=Limit(5, 300))
    proxies = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    client = await (await serve(proxies, limits=limits)).client()
    await sign_up(client)
    client.headers["x-forwarded-for"] = "203.0.113.7"
    assert [(await guess(client)).status_code for _ in range(10)] == [401] * 3 + [429] * 7
    client.headers["x-forwarded-for"] = "203.0.113.8"
    assert (await guess(client, password=PASSWORD)).status_code == 200


async def test_all_of_one_households_addresses_are_one(serve: Serve) -> None:
    """A client with one IPv6 address has 2^64 of them."""
    proxies = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    client = await (await serve(proxies, limits=tight_limits(signin_address=Limit(3, 300)))).client()
    statuses = []
    for place in (
        "2001:db8:1:2::1",
        "2001:db8:1:2::2",
        "2001:db8:1:2:ffff::3",
        "2001:db8:1:2:0:1::",
        "2001:db8:1:3::1",
    ):
        client.headers["x-forwarded-for"] = place
        statuses.append((await guess(client)).status_code)
    assert statuses == [401, 401, 401, 429, 401]


async def test_ipv4_addresses_that_are_written_as_ipv6_are_still_many(serve: Serve) -> None:
    proxies = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    client = await (await serve(proxies, limits=tight_limits(signin_address=Limit(1, 300)))).client()
    statuses = []
    for place in ("::ffff:203.0.113.7", "::ffff:203.0.113.8", "203.0.113.7"):
        client.headers["x-forwarded-for"] = place
        statuses.append((await guess(client)).status_code)
    assert statuses == [401, 401, 429]


@pytest.mark.parametrize(
    ("inside", "allowed"),
    [
        ([f"2001:db8:1:{number:x}::1" for number in range(0, 0x10000, 0x100)], 10),  # a /48, each of another /56
        ([f"2001:db8:1:{number:x}::1" for number in range(0x100)], 4),  # a /56, each of another /64
        ([f"203.0.113.{number}" for number in range(256)], 10),
    ],
)
async def test_neighbouring_networks_share_a_larger_limit(serve: Serve, inside: list[str], allowed: int) -> None:
    """A client with a /48 has 65,536 networks of one address each, and a host rents out neighbouring ones."""
    client = await (await serve(PROXIES, limits=tight_limits(signin_address=Limit(2, 300)))).client()
    statuses = [(await guess_from(client, place, f"{place}@example.com")).status_code for place in inside[:14]]
    assert statuses == [401] * allowed + [429] * (14 - allowed)
    for outside in ("2001:db8:2::1", "198.51.100.7"):
        assert (await guess_from(client, outside)).status_code == 401


async def test_a_crowd_of_strangers_does_not_lock_out_a_known_browser(serve: Serve) -> None:
    """The total is used up from networks that have nothing in common, the account's limit by guesses at it."""
    product = await serve(PROXIES, limits=tight_limits(signin_total=Limit(20, 300)))
    client, crowd = await product.client(), await product.client()
    await sign_up(client)
    assert (await guess(client, password=PASSWORD)).status_code == 200
    await client.post("/api/auth/signout")
    for number in range(24):
        await guess_from(crowd, f"2001:db8:{number:x}::1", ANNA if number % 2 else f"{number}@example.com")
    answer = await guess_from(crowd, "198.51.100.7", "other@example.com")
    assert answer.status_code == 429
    assert "a passkey, or a password reset link" in answer.json()["message"]
    assert (await guess_from(crowd, "198.51.100.7", password=PASSWORD)).status_code == 429
    page = await client.post("/signin", data={"email": ANNA.upper(), "password": PASSWORD})
    assert (page.status_code, page.headers["location"]) == (303, "/connections")
    assert (await guess(client, password=PASSWORD)).status_code == 200


async def test_a_known_browser_guesses_within_a_limit_of_its_own(serve: Serve) -> None:
    limits = tight_limits(signin_address=ROOMY, signin_account=ROOMY, signin_device=Limit(3, 300))
    client = await (await serve(limits=limits)).client()
    await sign_up(client)
    await guess(client, password=PASSWORD)
    assert [(await guess(client)).status_code for _ in range(4)] == [401] * 3 + [429]
    assert (await guess(client, password=PASSWORD)).status_code == 429
    assert (await guess(client, "other@example.com")).status_code == 401  # there it is not known


@pytest.mark.parametrize("forge", ["other account", "longer life", "another nonce", "no signature", "rubbish", "empty"])
async def test_a_device_cookie_cannot_be_forged(serve: Serve, forge: str) -> None:
    client = await (await serve(limits=tight_limits(signin_total=Limit(1, 300)))).client()
    for email in (ANNA, "bob@example.com"):
        await sign_up(client, email)
        assert (await guess(client, email, PASSWORD)).status_code == 200
    issued, nonce, mac = client.cookies[DEVICE].split(".")
    client.cookies.clear()
    forged = {
        "other account": f"{issued}.{nonce}.{mac}",
        "longer life": f"{int(issued) + 1}.{nonce}.{mac}",
        "another nonce": f"{issued}.{nonce}x.{mac}",
        "no signature": f"{issued}.{nonce}.",
        "rubbish": "9" * 150 + ".é.x",
        "empty": "",
    }[forge]
    email = ANNA if forge == "other account" else "bob@example.com"
    headers = {b"cookie": f"{DEVICE}={forged}".encode()}
    answers = [
        await client.post("/api/auth/signin", json={"email": email, "password": WRONG}, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [401, 429]


async def test_a_device_cookie_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await (await serve(limits=tight_limits(signin_total=Limit(1, 300)))).client()
    await sign_up(client)
    monkeypatch.setattr("basewarden.accounts.signin.devices.TTL", timedelta(0))
    await guess(client, password=PASSWORD)
    assert [(await guess(client)).status_code for _ in range(2)] == [401, 429]


async def test_recovery_codes_are_made_a_few_times_an_hour(serve: Serve, clock: StepClock, protect: Protect) -> None:
    """Ten slow hashes each, and everybody who signs in waits behind them."""
    product = await serve(clock=clock, limits=tight_limits(recovery_codes=Limit(2, 3600)))
    anna = await protect(product)
    statuses = [(await anna.person.post("/api/account/2fa/recovery-codes")).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_all_together_are_limited(serve: Serve) -> None:
    limits = tight_limits(signin_address=ROOMY, signin_total=Limit(4, 300))
    client = await (await serve(limits=limits)).client()
    statuses = [(await guess(client, f"person{number}@example.com")).status_code for number in range(6)]
    assert statuses == [401] * 4 + [429] * 2


@pytest.mark.parametrize("name", ["signup_address", "signup_total"])
async def test_sign_ups_are_limited(serve: Serve, name: str) -> None:
    client = await (await serve(limits=tight_limits(**{name: Limit(4, 3600)}))).client()
    statuses = [(await sign_up(client, f"person{number}@example.com")).status_code for number in range(5)]
    assert statuses == [201] * 4 + [429]


async def test_a_window_ends(serve: Serve) -> None:
    client = await (await serve(limits=tight_limits(signin_account=Limit(1, 1), signin_address=ROOMY))).client()
    assert [(await guess(client)).status_code for _ in range(2)] == [401, 429]
    await wait_until(
        lambda: guess(client), "the window to end", matches=lambda answer: answer.status_code != 429, seconds=5
    )
