"""Two-factor authentication by HTTP alone: every status of the contract, and what must not work."""

import asyncio
import ipaddress
import re
from base64 import b32decode
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import segno
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from basewarden.accounts import AccountLimits, Limit
from basewarden.accounts.signin.callers import require_half_signed_in
from basewarden.accounts.signin.sessions import SignInSessions
from basewarden.accounts.twofactor import TwoFactor
from basewarden.app import assemble_app
from basewarden.audit import ClientInfo
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.errors import TooMany
from basewarden.web import CallerKind
from basewarden.web.callers import declared_callers
from tests.fixtures.app import PASSWORD, ProjectDatabase, Serve, ServedProduct, read_refusal, tight_limits
from tests.fixtures.mailing import ServeMailing
from tests.fixtures.sql import run_sql
from tests.fixtures.twofactor import URL, Protect, Protected, StepClock, make_stale, turn_on

COOKIE, MFA = "authjs.session-token", "basewarden.mfa"
EMAIL = "anna@example.com"


async def verify(client: httpx.AsyncClient, code: str, *, recovery: bool | None = None) -> httpx.Response:
    body = {"code": code} if recovery is None else {"code": code, "recovery": recovery}
    return await client.post(f"{URL}/verify", json=body)


async def is_in(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/api/connections")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


async def list_kinds(dsn: str) -> list[str]:
    return [kind for (kind,) in await run_sql(dsn, "SELECT kind FROM audit_events ORDER BY id")]


async def test_from_setting_up_to_turning_off(timed: ServedProduct, clock: StepClock, app_database: str) -> None:
    person = await timed.sign_up(EMAIL)
    anna = await turn_on(person, EMAIL, clock)
    assert len(set(anna.recovery)) == 10

    client = await anna.sign_in(timed)
    assert read_refusal(await client.get("/api/connections")) == (401, "mfa_required")
    assert read_refusal(await client.get("/api/auth/session")) == (401, "mfa_required")
    answer = await verify(client, anna.code())
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert await is_in(client)

    off = await client.post(f"{URL}/disable", json={"password": PASSWORD})
    assert (off.status_code, off.json()) == (200, {"ok": True})
    assert await is_in(client)
    plain = await timed.client()
    signed_in = await plain.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.json() == {"ok": True, "mfaRequired": False}
    assert await is_in(plain)
    assert await run_sql(app_database, "SELECT sealed_totp_secret, sealed_totp_pending FROM users") == [(None, None)]
    assert await run_sql(app_database, "SELECT count(*) FROM recovery_codes") == [(0,)]
    kinds = await list_kinds(app_database)
    assert [kind for kind in kinds if kind.startswith("twofactor")] == [
        "twofactor_on",
        "twofactor_passed",
        "twofactor_off",
    ]


async def test_setup_gives_a_fresh_secret_each_time(timed: ServedProduct, app_database: str) -> None:
    person = await timed.sign_up(EMAIL)
    first, second = [(await person.post(f"{URL}/setup")).json() for _ in range(2)]
    assert set(first) == {"secret", "otpauthUrl", "qrDataUrl"}
    assert first["secret"] != second["secret"]
    assert len(b32decode(second["secret"])) == 20
    url = urlsplit(second["otpauthUrl"])
    assert (url.scheme, url.netloc, url.path) == ("otpauth", "totp", f"/Basewarden:{EMAIL.replace('@', '%40')}")
    assert parse_qs(url.query) == {"secret": [second["secret"]], "issuer": ["Basewarden"]}
    assert second["qrDataUrl"] == segno.make(second["otpauthUrl"], micro=False).png_data_uri(scale=5)
    ((sealed,),) = await run_sql(app_database, "SELECT sealed_totp_pending FROM users")
    assert second["secret"].encode() not in sealed
    assert b32decode(second["secret"]) not in sealed


async def test_setup_changes_nothing_until_it_is_enabled(timed: ServedProduct, anna: Protected) -> None:
    assert (await anna.person.post(f"{URL}/setup")).status_code == 200
    assert (await verify(await anna.sign_in(timed), anna.code())).status_code == 200


async def test_enabling_takes_the_pending_secret_and_a_right_code(timed: ServedProduct, clock: StepClock) -> None:
    person = await timed.sign_up(EMAIL)
    guess = {"secret": "A" * 32, "code": "123456"}
    assert read_refusal(await person.post(f"{URL}/enable", json=guess)) == (400, "bad_code")
    earlier = (await person.post(f"{URL}/setup")).json()["secret"]
    secret = (await person.post(f"{URL}/setup")).json()["secret"]
    phone, old_phone = (Protected(EMAIL, key, [], person, clock) for key in (secret, earlier))
    for body in (
        {"secret": earlier, "code": old_phone.code()},
        {"secret": secret, "code": phone.wrong()},
        {"secret": secret, "code": old_phone.code()},
        {"secret": secret, "code": phone.code(3)},
        {"secret": "", "code": phone.code()},
    ):
        assert read_refusal(await person.post(f"{URL}/enable", json=body)) == (400, "bad_code")
    assert (await person.get("/api/auth/session")).status_code == 200
    invalid_bodies: list[Any] = [{"secret": secret}, {"code": phone.code()}, {}, [], {"secret": 1, "code": 2}]
    for wrong in invalid_bodies:
        assert read_refusal(await person.post(f"{URL}/enable", json=wrong)) == (422, "validation_failed")

    answer = await person.post(f"{URL}/enable", json={"secret": secret, "code": phone.code(-1)})
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    again = await person.post(f"{URL}/enable", json={"secret": secret, "code": phone.code()})
    assert read_refusal(again) == (409, "already_on")


async def test_enabling_needs_a_sign_in_of_the_last_ten_minutes(
    timed: ServedProduct, serve: Serve, clock: StepClock, app_database: str
) -> None:
    person = await timed.sign_up(EMAIL)
    secret = (await person.post(f"{URL}/setup")).json()["secret"]
    phone = Protected(EMAIL, secret, [], person, clock)
    await make_stale(app_database)
    other = await serve(clock=clock)
    body = {"secret": secret, "code": phone.code()}
    answer = await person.post(f"{other.settings.origin}{URL}/enable", json=body)
    assert read_refusal(answer) == (403, "reauth_required")
    again = {"email": EMAIL, "password": PASSWORD}
    assert (await person.post("/api/auth/signin", json=again)).status_code == 200
    assert (await person.post(f"{URL}/enable", json=body)).status_code == 200
    await make_stale(app_database)
    answer = await person.post(f"{(await serve()).settings.origin}{URL}/enable", json=body)
    assert read_refusal(answer) == (409, "already_on")


async def test_of_two_who_enable_at_once_one_wins(timed: ServedProduct, clock: StepClock, app_database: str) -> None:
    person = await timed.sign_up(EMAIL)
    other = await timed.client()
    await other.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    secret = (await person.post(f"{URL}/setup")).json()["secret"]
    phone = Protected(EMAIL, secret, [], person, clock)
    body = {"secret": secret, "code": phone.code()}
    answers = await asyncio.gather(*(one.post(f"{URL}/enable", json=body) for one in (person, other) * 3))
    assert Counter(answer.status_code for answer in answers)[200] == 1
    assert {read_refusal(answer) for answer in answers if answer.status_code != 200} <= {
        (409, "already_on"),
        (401, "unauthenticated"),  # the winner's own other requests: their cookie is dead by then
        (401, "mfa_required"),
    }
    codes = next(answer.json()["recoveryCodes"] for answer in answers if answer.status_code == 200)
    assert await run_sql(app_database, "SELECT count(*) FROM recovery_codes") == [(10,)]
    winner = Protected(EMAIL, secret, codes, person, clock)
    assert (await verify(await winner.sign_in(timed), codes[9], recovery=True)).status_code == 200


async def test_enabling_renews_the_session_and_leaves_the_others_half_way(
    timed: ServedProduct, clock: StepClock
) -> None:
    person = await timed.sign_up(EMAIL)
    other = await timed.client()
    await other.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD})
    assert await is_in(other)
    before = person.cookies[COOKIE]
    await turn_on(person, EMAIL, clock)
    assert person.cookies[COOKIE] != before
    assert await is_in(person)
    stolen = await timed.client()
    answer = await stolen.get("/api/connections", headers={"cookie": f"{COOKIE}={before}"})
    assert read_refusal(answer) == (401, "unauthenticated")
    assert read_refusal(await other.get("/api/connections")) == (401, "mfa_required")


async def test_the_mfa_cookie_is_as_the_contract_says(timed: ServedProduct, anna: Protected, serve: Serve) -> None:
    client = await anna.sign_in(timed)
    answer = await verify(client, anna.code())
    cookies = {line.partition("=")[0]: line.lower() for line in answer.headers.get_list("set-cookie")}
    assert set(cookies) == {COOKIE, MFA}
    assert {"httponly", "samesite=lax", "path=/", "max-age=86400"} <= set(cookies[MFA].split("; "))
    secure = await serve({"origin": "https://app.example.com"}, clock=anna.clock)
    anna.clock.tick()
    half = await anna.sign_in(timed)
    headers = {"cookie": f"__Secure-{COOKIE}={half.cookies[COOKIE]}"}
    visitor = await secure.client()
    answer = await visitor.post(f"{URL}/verify", json={"code": anna.code()}, headers=headers)
    lines = answer.headers.get_list("set-cookie")
    (line,) = [line for line in lines if line.startswith(f"__Host-{MFA}=")]
    assert "; Secure" in line
    assert "domain" not in line.lower()


async def test_a_stolen_cookie_dies_with_the_second_factor(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    stolen = client.cookies[COOKIE]
    assert (await verify(client, anna.code())).status_code == 200
    thief = await timed.client()
    thief.cookies.set(COOKIE, stolen, domain="127.0.0.1")
    thief.cookies.set(MFA, client.cookies[MFA], domain="127.0.0.1")
    assert read_refusal(await thief.get("/api/connections")) == (401, "unauthenticated")
    assert read_refusal(await verify(thief, anna.code(1))) == (401, "unauthenticated")


async def test_the_mfa_cookie_of_one_session_opens_nothing_on_another(
    timed: ServedProduct, anna: Protected, protect: Protect
) -> None:
    whole = await anna.sign_in(timed)
    await verify(whole, anna.code())
    half = await anna.sign_in(timed)
    bob = await protect(timed, "bob@example.com")
    for cookie in (whole.cookies[MFA], bob.person.cookies[MFA], "", "made-up"):
        answer = await half.get(
            "/api/connections", headers={"cookie": f"{COOKIE}={half.cookies[COOKIE]}; {MFA}={cookie}"}
        )
        assert read_refusal(answer) == (401, "mfa_required")
    assert await is_in(whole)


async def test_the_second_factor_holds_for_a_day(
    timed: ServedProduct, anna: Protected, serve: Serve, app_database: str
) -> None:
    client = await anna.sign_in(timed)
    await verify(client, anna.code())
    await run_sql(app_database, "UPDATE signin_sessions SET mfa_at = now() - interval '24 hours'")
    later = (await serve(clock=anna.clock)).settings.origin
    assert read_refusal(await client.get(f"{later}/api/connections")) == (401, "mfa_required")
    anna.clock.tick()
    answer = await client.post(f"{later}{URL}/verify", json={"code": anna.code()})
    assert answer.status_code == 200
    assert (await client.get(f"{later}/api/connections")).status_code == 200


async def test_turning_it_on_again_asks_every_other_session_again(timed: ServedProduct, anna: Protected) -> None:
    other = await anna.sign_in(timed)
    await verify(other, anna.code())
    assert (await anna.person.post(f"{URL}/disable", json={"password": PASSWORD})).status_code == 200
    assert await is_in(other)
    await turn_on(anna.person, EMAIL, anna.clock)
    assert read_refusal(await other.get("/api/connections")) == (401, "mfa_required")


async def test_the_second_factor_is_no_proof_of_the_first(
    timed: ServedProduct, anna: Protected, serve: Serve, app_database: str
) -> None:
    """A code alone does not freshen a sign-in: what needs a recent one needs the password again."""
    client = await anna.sign_in(timed)
    await make_stale(app_database)
    other = (await serve(clock=anna.clock)).settings.origin
    assert (await client.post(f"{other}{URL}/verify", json={"code": anna.code()})).status_code == 200
    assert read_refusal(await client.post(f"{other}{URL}/recovery-codes")) == (403, "reauth_required")


async def test_a_code_works_once(timed: ServedProduct, anna: Protected) -> None:
    """The enabling one too; and after a newer one no older one."""
    first = await anna.sign_in(timed)
    assert read_refusal(await verify(first, anna.code(-1))) == (400, "bad_code")
    assert (await verify(first, anna.code(1))).status_code == 200
    second = await anna.sign_in(timed)
    assert read_refusal(await verify(second, anna.code(1))) == (400, "bad_code")
    assert read_refusal(await verify(second, anna.code())) == (400, "bad_code")
    anna.clock.tick()
    assert read_refusal(await verify(second, anna.code())) == (400, "bad_code")
    anna.clock.tick()
    assert (await verify(second, anna.code())).status_code == 200


async def test_one_code_at_once_in_many_places_works_in_one(
    timed: ServedProduct, serve: Serve, anna: Protected
) -> None:
    products = (timed, await serve(clock=anna.clock))
    halves = [await anna.sign_in(product) for product in products * 2]
    answers = await asyncio.gather(*(verify(half, anna.code()) for half in halves))
    assert Counter(read_refusal(answer) for answer in answers) == {(200, ""): 1, (400, "bad_code"): 3}
    assert [await is_in(half) for half in halves].count(True) == 1


@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_a_code_of_one_step_either_way_is_good(timed: ServedProduct, anna: Protected, steps: int) -> None:
    anna.clock.tick(2)
    assert (await verify(await anna.sign_in(timed), anna.code(steps))).status_code == 200


@pytest.mark.parametrize(
    ("steps", "hint"),
    [(2, "about 1 minute ahead"), (10, "about 5 minutes ahead"), (-2, "about 1 minute old"), (11, None), (-11, None)],
)
async def test_a_code_beyond_the_window_hints_at_a_wrong_clock(
    timed: ServedProduct, anna: Protected, steps: int, hint: str | None
) -> None:
    anna.clock.tick(20)
    answer = await verify(await anna.sign_in(timed), anna.code(steps))
    assert read_refusal(answer) == (400, "bad_code")
    assert (hint in answer.json()["hint"]) if hint else answer.json()["hint"] is None


async def test_a_code_that_was_refused_as_early_is_not_good_later(timed: ServedProduct, anna: Protected) -> None:
    """Otherwise a guess could hit any code of the next five minutes, and learn when to try it again."""
    client = await anna.sign_in(timed)
    early = anna.code(4)
    assert "ahead" in (await verify(client, early)).json()["hint"]
    anna.clock.tick(4)
    assert read_refusal(await verify(client, early)) == (400, "bad_code")
    anna.clock.tick()
    assert (await verify(client, anna.code())).status_code == 200


async def test_five_wrong_ones_and_the_sixth_is_429_even_when_it_is_right(
    timed: ServedProduct, serve: Serve, anna: Protected, app_database: str
) -> None:
    client = await anna.sign_in(timed)
    assert [read_refusal(await verify(client, anna.wrong())) for _ in range(5)] == [(400, "bad_code")] * 5
    for where in (timed, await serve(clock=anna.clock)):  # a second process, which is also one after a restart
        answer = await client.post(f"{where.settings.origin}{URL}/verify", json={"code": anna.code()})
        assert read_refusal(answer) == (429, "rate_limited")
        assert 0 < int(answer.headers["retry-after"]) <= 300
    assert read_refusal(await verify(client, anna.recovery[0], recovery=True)) == (429, "rate_limited")
    assert read_refusal(await verify(await anna.sign_in(timed), anna.code())) == (429, "rate_limited")
    assert not await is_in(client)
    assert (await list_kinds(app_database)).count("twofactor_failed") == 5


async def test_a_crowd_of_guesses_gets_no_further(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    guesses = [
        f"{number:06}" for number in range(60) if f"{number:06}" not in {anna.code(-1), anna.code(), anna.code(1)}
    ]
    answers = await asyncio.gather(*(verify(client, guess) for guess in guesses))
    assert Counter(answer.status_code for answer in answers) == {400: 5, 429: len(guesses) - 5}


async def test_success_is_no_failure(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    for _ in range(6):
        assert (await verify(client, anna.code())).status_code == 200
        anna.clock.tick()
    assert [(await verify(client, anna.wrong())).status_code for _ in range(4)] == [400] * 4
    assert (await verify(client, anna.code())).status_code == 200
    assert [(await verify(client, anna.wrong())).status_code for _ in range(2)] == [400, 429]


@pytest.mark.parametrize(("place", "seconds"), [(1, 3600), (2, 86400)])
async def test_an_hour_and_a_day_have_their_limits_too(
    serve: Serve, clock: StepClock, protect: Protect, place: int, seconds: int
) -> None:
    counts = [10, 10, 10]
    counts[place] = 2
    limits = tuple(Limit(count, every) for count, every in zip(counts, (300, 3600, 86400), strict=True))
    product = await serve(clock=clock, limits=tight_limits(second_factor_account=limits))
    anna = await protect(product)
    client = await anna.sign_in(product)
    assert [(await verify(client, anna.wrong())).status_code for _ in range(2)] == [400, 400]
    answer = await verify(client, anna.code())
    assert read_refusal(answer) == (429, "rate_limited")
    assert seconds - 60 < int(answer.headers["retry-after"]) <= seconds


def test_the_limits_are_those_that_are_documented() -> None:
    limits = AccountLimits()
    assert limits.second_factor_account == (Limit(5, 300), Limit(20, 3600), Limit(50, 86400))
    assert limits.second_factor_address == (Limit(10, 300), Limit(50, 3600))


async def test_an_address_is_limited_over_all_accounts(serve: Serve, clock: StepClock, protect: Protect) -> None:
    limits = tight_limits(second_factor_address=(Limit(4, 300), Limit(50, 3600)))
    proxies = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    product = await serve(proxies, clock=clock, limits=limits)
    people = [await protect(product, f"person{number}@example.com") for number in range(3)]
    statuses = []
    for anna in people:
        client = await anna.sign_in(product)
        client.headers["x-forwarded-for"] = "203.0.113.7"
        statuses += [(await verify(client, anna.wrong())).status_code for _ in range(2)]
    assert statuses == [400] * 4 + [429] * 2
    client.headers["x-forwarded-for"] = "203.0.113.8"
    assert (await verify(client, people[2].code())).status_code == 200


async def test_a_recovery_code_works_once_however_it_is_typed(
    timed: ServedProduct, anna: Protected, app_database: str
) -> None:
    first, second, third, fourth = anna.recovery[:4]
    for code in (first, second.lower(), third.replace("-", ""), f" {fourth} "):
        client = await anna.sign_in(timed)
        assert (await verify(client, code, recovery=True)).status_code == 200
        assert await is_in(client)
        assert read_refusal(await verify(await anna.sign_in(timed), code, recovery=True)) == (400, "bad_code")
    assert await run_sql(app_database, "SELECT count(*) FROM recovery_codes WHERE used_at IS NULL") == [(6,)]
    assert (await list_kinds(app_database)).count("recovery_code_used") == 4
    details = await run_sql(app_database, "SELECT details->'left' FROM audit_events WHERE kind = 'recovery_code_used'")
    assert details == [(9,), (8,), (7,), (6,)]


async def test_a_recovery_code_is_no_code_and_the_other_way_round(
    timed: ServedProduct, anna: Protected, protect: Protect
) -> None:
    client = await anna.sign_in(timed)
    bob = await protect(timed, "bob@example.com")
    assert read_refusal(await verify(client, anna.recovery[0])) == (400, "bad_code")
    assert read_refusal(await verify(client, anna.recovery[0], recovery=False)) == (400, "bad_code")
    assert read_refusal(await verify(client, anna.code(), recovery=True)) == (400, "bad_code")
    assert read_refusal(await verify(client, bob.recovery[0], recovery=True)) == (400, "bad_code")
    assert (await verify(client, anna.recovery[0], recovery=True)).status_code == 200


async def test_one_recovery_code_at_once_in_many_places_works_in_one(timed: ServedProduct, anna: Protected) -> None:
    halves = [await anna.sign_in(timed) for _ in range(4)]
    answers = await asyncio.gather(*(verify(half, anna.recovery[3], recovery=True) for half in halves))
    assert Counter(read_refusal(answer) for answer in answers) == {(200, ""): 1, (400, "bad_code"): 3}


async def test_recovery_codes_are_kept_as_slow_hashes(anna: Protected, app_database: str) -> None:
    hashes = [code_hash for (code_hash,) in await run_sql(app_database, "SELECT code_hash FROM recovery_codes")]
    assert len(set(hashes)) == 10
    assert all(code_hash.startswith("$argon2id$") for code_hash in hashes)


async def test_new_recovery_codes_kill_the_earlier_ones(timed: ServedProduct, anna: Protected) -> None:
    before = anna.person.cookies[COOKIE]
    answer = await anna.person.post(f"{URL}/recovery-codes")
    assert answer.status_code == 200
    codes = answer.json()["recoveryCodes"]
    assert len(set(codes) - set(anna.recovery)) == 10
    assert anna.person.cookies[COOKIE] != before
    assert await is_in(anna.person)
    client = await anna.sign_in(timed)
    assert read_refusal(await verify(client, anna.recovery[0], recovery=True)) == (400, "bad_code")
    assert (await verify(client, codes[0], recovery=True)).status_code == 200


async def test_new_recovery_codes_are_for_who_has_it_on_and_is_fresh(
    timed: ServedProduct, anna: Protected, serve: Serve, app_database: str
) -> None:
    plain = await timed.sign_up("plain@example.com")
    assert read_refusal(await plain.post(f"{URL}/recovery-codes")) == (409, "conflict")
    await make_stale(app_database)
    other = (await serve(clock=anna.clock)).settings.origin
    assert read_refusal(await anna.person.post(f"{other}{URL}/recovery-codes")) == (403, "reauth_required")


async def test_turning_it_off_takes_the_password(timed: ServedProduct, anna: Protected, app_database: str) -> None:
    wrong = {"password": "a guess that is wrong"}
    assert read_refusal(await anna.person.post(f"{URL}/disable", json=wrong)) == (400, "bad_password")
    assert read_refusal(await anna.person.post(f"{URL}/disable", json={})) == (422, "validation_failed")
    assert (await anna.sign_in(timed)).cookies[COOKIE]
    before = anna.person.cookies[COOKIE]
    for _ in range(2):  # it may be off already
        assert (await anna.person.post(f"{URL}/disable", json={"password": PASSWORD})).status_code == 200
    assert anna.person.cookies[COOKIE] != before
    assert read_refusal(await anna.person.post(f"{URL}/disable", json=wrong)) == (400, "bad_password")
    assert (await list_kinds(app_database)).count("twofactor_off") == 1


async def test_turning_it_off_is_no_way_to_guess_the_password(timed: ServedProduct, anna: Protected) -> None:
    guess = {"password": "a guess that is wrong"}
    statuses = [(await anna.person.post(f"{URL}/disable", json=guess)).status_code for _ in range(11)]
    assert statuses == [400] * 10 + [429]
    assert read_refusal(await anna.person.post(f"{URL}/disable", json={"password": PASSWORD})) == (429, "rate_limited")


async def test_without_a_password_turning_it_off_takes_a_fresh_sign_in(
    timed: ServedProduct, anna: Protected, serve: Serve, app_database: str
) -> None:
    await run_sql(app_database, "UPDATE users SET password_hash = NULL")
    await make_stale(app_database)
    other = (await serve(clock=anna.clock)).settings.origin
    assert read_refusal(await anna.person.post(f"{other}{URL}/disable", json={"password": ""})) == (
        403,
        "reauth_required",
    )
    await run_sql(app_database, "UPDATE signin_sessions SET authenticated_at = now()")
    later = (await serve(clock=anna.clock)).settings.origin
    assert (await anna.person.post(f"{later}{URL}/disable", json={"password": ""})).status_code == 200
    assert await run_sql(app_database, "SELECT sealed_totp_secret FROM users") == [(None,)]


async def test_who_has_it_off_has_no_code_to_verify(timed: ServedProduct, owner: httpx.AsyncClient) -> None:
    person = await timed.sign_up(EMAIL)
    assert read_refusal(await verify(person, "123456")) == (400, "bad_code")
    assert read_refusal(await verify(person, "7Q4M-XK2W-HN9P-T8RC", recovery=True)) == (400, "bad_code")


async def test_a_signed_out_caller_gets_nothing(client: httpx.AsyncClient) -> None:
    body = {"secret": "x", "code": "123456", "password": PASSWORD}
    for call in ("setup", "enable", "verify", "disable", "recovery-codes"):
        wanted = {
            "enable": {"secret": "x", "code": "123456"},
            "verify": {"code": "123456"},
            "disable": {"password": body["password"]},
        }
        answer = await client.post(f"{URL}/{call}", json=wanted.get(call))
        assert read_refusal(answer) == (401, "unauthenticated"), call


async def test_another_proof_takes_the_same_codes_and_the_same_places(timed: ServedProduct, anna: Protected) -> None:
    """What asks for a code elsewhere than at sign-in goes through `check_code`."""
    two_factor, database = timed.registry.get(TwoFactor), timed.registry.get(Database)
    where = ClientInfo("203.0.113.7", "test")
    signin_token = {"headers": [(b"cookie", f"{COOKIE}={anna.person.cookies[COOKIE]}".encode())]}
    person = await timed.registry.get(SignInSessions).find_half_signed_in(signin_token)
    assert person is not None

    async def check(code: str) -> bool:
        async with database.unit_of_work() as session:
            return await two_factor.check_code(session, person, Secret(code), where)

    assert [await check(anna.code()) for _ in range(2)] == [True, False]
    assert read_refusal(await verify(await anna.sign_in(timed), anna.code())) == (400, "bad_code")
    assert [await check(anna.wrong()) for _ in range(3)] == [False] * 3
    with pytest.raises(TooMany):
        await check(anna.code(1))


async def test_emails_announce_what_changed(serve_mailing: ServeMailing, clock: StepClock) -> None:
    mailing = await serve_mailing(clock=clock)
    person = await mailing.sign_up(EMAIL)
    anna = await turn_on(person, EMAIL, clock)
    client = await anna.sign_in(mailing.product)
    client.headers["user-agent"] = "Thief/2"
    assert (await verify(client, anna.recovery[0], recovery=True)).status_code == 200
    await verify(await anna.sign_in(mailing.product), anna.recovery[0], recovery=True)
    await anna.person.post(f"{URL}/disable", json={"password": PASSWORD})
    await mailing.finish_jobs()
    emails = {email.subject: email for email in mailing.postbox.find(EMAIL)}
    assert {"Two-factor authentication is on", "A recovery code was used", "Two-factor authentication is off"} <= set(
        emails
    )
    assert mailing.subjects(EMAIL).count("A recovery code was used") == 1
    used = emails["A recovery code was used"]
    shown = " ".join(re.sub(r"<[^>]+>", " ", used.html).split())
    for words in ("You have 9 left.", "With: Thief\n", f"{mailing.product.settings.origin}/forgot\n"):
        assert words in used.text
        assert words.strip().replace(": ", " ") in shown
    for email in emails.values():
        assert anna.secret not in email.text + email.html
        assert not any(code in email.text + email.html for code in anna.recovery)


HOSTILE = [
    '{"code": "\\u0000\\u0000"}',
    '{"code": "\\ud800\\ud800"}',
    '{"code": "' + "1" * 50_000 + '"}',
    '{"code": ["123456"]}',
    '{"code": 123456}',
    '{"code": "123456", "recovery": "maybe"}',
    '{"code": "123456", "extra": 1}',
    '{"code": null}',
    "[]",
    "{",
    "",
    '{"code": "\\u06f1\\u06f2\\u06f3\\u06f4\\u06f5\\u06f6"}',
    '{"code": "7\\u0000Q4M-XK2W-HN9P-T8RC", "recovery": true}',
]


@pytest.mark.parametrize("body", HOSTILE)
async def test_hostile_input_is_no_500(timed: ServedProduct, anna: Protected, body: str) -> None:
    client = await anna.sign_in(timed)
    headers = {"content-type": "application/json"}
    for call in ("verify", "enable", "disable"):
        changed = body if call == "verify" else body.replace('"code"', '"password"')
        answer = await (client if call == "verify" else anna.person).post(
            f"{URL}/{call}", content=changed, headers=headers
        )
        assert answer.status_code in {400, 413, 422}, (call, answer.text)
        assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert not await is_in(client)


HALF_WAY = {("POST", "/api/account/2fa/verify"), ("POST", "/signin/2fa")}
"""Together with those of passkeys, which are found by their path, all routes for a half signed-in caller."""


NO_PERSON = {CallerKind.ANYONE, CallerKind.PROVIDER, CallerKind.SCHEDULER, CallerKind.SCRAPER}
"""Whatever credentials these routes accept, a cookie is none of them."""


def list_dependants(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(found for inner in dependant.dependencies for found in list_dependants(inner))]


def list_routes(product: ServedProduct) -> list[RouteContext]:
    api: Any = assemble_app(product.registry)
    while not isinstance(api, FastAPI):
        api = getattr(api, "_app", None) or api._then
    return [route for route in iter_route_contexts(api.routes) if hasattr(route, "dependant")]


def fill_path(path: str) -> str:
    """A well-formed value for every parameter."""
    parts = [str(uuid4()) if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


async def test_half_way_in_nothing_else_can_be_reached(timed: ServedProduct, anna: Protected) -> None:
    client = await anna.sign_in(timed)
    tried = half = 0
    for route in list_routes(timed):
        path = route.path or ""
        found = list_dependants(route.dependant)
        callers = {kind for one in found for kind in declared_callers(one.call)}
        is_half = any(one.call is require_half_signed_in for one in found)
        for method in route.methods or ():
            if is_half:
                assert (method, path) in HALF_WAY or "/2fa/passkey" in path, path
                half += 1
            elif not callers & NO_PERSON:
                await check_closed(client, method, fill_path(path))
                tried += 1
    assert tried > 60
    assert half >= len(HALF_WAY)


async def check_closed(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    if path.startswith("/api/"):
        assert read_refusal(answer) == (401, "mfa_required"), (method, path)
    else:
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/signin/2fa?next="), (method, path)


async def test_half_way_in_the_data_api_is_closed(
    timed: ServedProduct, clock: StepClock, own_project: tuple[httpx.AsyncClient, str]
) -> None:
    person, connection_id = own_project
    half = await (await turn_on(person, EMAIL, clock)).sign_in(timed)
    for path in ("rest/v1/notes", "rest/v1/", "rest/v1/rpc/nothing", "introspect"):
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"):
            for known in (connection_id, str(uuid4())):
                answer = await half.request(method, f"/api/v/{known}/{path}")
                assert answer.status_code == 401, (method, path)
                assert method == "HEAD" or answer.json()["code"] == "mfa_required"
    assert (await person.get(f"/api/v/{connection_id}/rest/v1/notes")).status_code == 200


@pytest.fixture
async def own_project(timed: ServedProduct, project: ProjectDatabase) -> tuple[httpx.AsyncClient, str]:
    """A person and their connection."""
    person = await timed.sign_up(EMAIL)
    answer = await person.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    return person, str(answer.json()["id"])


async def test_half_way_in_one_can_sign_out(timed: ServedProduct, anna: Protected) -> None:
    for path, status in (("/api/auth/signout", 204), ("/signout", 303)):
        client = await anna.sign_in(timed)
        cookie = client.cookies[COOKIE]
        assert (await client.post(path)).status_code == status
        answer = await client.post(
            f"{URL}/verify", json={"code": anna.code()}, headers={"cookie": f"{COOKIE}={cookie}"}
        )
        assert read_refusal(answer) == (401, "unauthenticated")
