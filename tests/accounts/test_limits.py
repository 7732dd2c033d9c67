"""Guessing is limited, whatever else rolls back, restarts or runs beside it."""

import asyncio
import ipaddress
from collections import Counter

import httpx
import pytest

from basewarden.accounts import Limit
from tests.fixtures.app import PASSWORD, Product, Serve, tight_limits
from tests.fixtures.twofactor import Protect, StepClock

ANNA = "anna@example.com"
WRONG = "wrong guess"
ROOMY = Limit(10_000, 300)


async def guess(client: httpx.AsyncClient, email: str = ANNA, password: str = WRONG) -> httpx.Response:
    return await client.post("/api/auth/signin", json={"email": email, "password": password})


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


async def test_a_hundred_guesses_at_once_get_no_further_than_ten(product: Product) -> None:
    client = await product.client()
    await sign_up(client)
    answers = await asyncio.gather(*(guess(client) for _ in range(100)))
    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 90}


async def test_success_is_no_failure(product: Product) -> None:
    client = await product.client()
    await sign_up(client)
    for _ in range(9):
        assert (await guess(client)).status_code == 401
    for _ in range(5):
        assert (await guess(client, password=PASSWORD)).status_code == 200
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
    """Whoever has one IPv6 address has 2^64 of them."""
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
    deadline = asyncio.get_running_loop().time() + 5
    while (await guess(client)).status_code == 429:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)
