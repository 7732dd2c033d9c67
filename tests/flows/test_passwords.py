"""`/api/account/{forgot,reset,change}-password`, by HTTP and by the emails that come of it."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from basewarden.accounts import Limit, SignInSessions
from tests.fixtures.app import PASSWORD, ServedProduct, read_refusal, tight_limits
from tests.fixtures.mailing import Mailing, ServeMailing
from tests.fixtures.twofactor import StepClock, turn_on
from tests.fixtures.waiting import wait_until

ANNA = "anna@example.com"
NEW = "a short swim in the lake"
WRONG = "a wrong guess entirely"
COOKIE = "authjs.session-token"
SET = "/settings/account/set-password"
RESET, CHANGE = "/api/account/reset-password", "/api/account/change-password"


async def sign_in(client: httpx.AsyncClient, password: str, email: str = ANNA) -> httpx.Response:
    return await client.post("/api/auth/signin", json={"email": email, "password": password})


async def reset(client: httpx.AsyncClient, token: str, password: str = NEW) -> httpx.Response:
    return await client.post(RESET, json={"token": token, "password": password})


async def change(client: httpx.AsyncClient, current: str = PASSWORD, new: str = NEW) -> httpx.Response:
    return await client.post(CHANGE, json={"currentPassword": current, "newPassword": new})


async def is_signed_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/connections")).status_code == 200


async def test_a_forgotten_password_is_replaced_and_ends_every_sign_in(serve_mailing: ServeMailing) -> None:
    mailing = await serve_mailing()
    elsewhere = await serve_mailing()
    first = await mailing.sign_up(ANNA)
    second = await elsewhere.product.client()
    assert (await sign_in(second, PASSWORD)).status_code == 200
    assert await is_signed_in(first)

    anybody = await mailing.product.client()
    answer = await reset(anybody, await mailing.forget(ANNA))
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert COOKIE not in answer.headers["set-cookie"]
    assert not await is_signed_in(first)
    while await is_signed_in(second):  # another process hears of it in milliseconds
        await elsewhere.product.settled()

    assert (await sign_in(anybody, PASSWORD)).status_code == 401
    assert (await sign_in(anybody, NEW)).status_code == 200
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA).count("Your password was changed") == 1
    assert await mailing.query("SELECT email_verified_at IS NOT NULL FROM users") is True
    kinds = "SELECT array_agg(kind) FROM audit_events"
    assert {"password_reset_asked", "password_reset"} <= set(await mailing.query(kinds))


@pytest.mark.parametrize(("is_verified", "left"), [(False, 0), (True, 1)])
async def test_a_squatter_of_an_address_loses_every_way_in(
    serve_mailing: ServeMailing, is_verified: bool, left: int
) -> None:
    mailing = await serve_mailing()
    early = await mailing.sign_up(ANNA)
    if is_verified:
        await mailing.query("UPDATE users SET email_verified_at = now()")
    await mailing.query(
        "INSERT INTO oauth_accounts (provider, subject, user_id, login) SELECT 'github', '7', id, 'early' FROM users"
    )
    await mailing.query(
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports, is_backed_up) "
        "SELECT gen_random_uuid(), id, 'x', 'x', 0, 'early', '{}', false FROM users"
    )
    answer = await reset(await mailing.product.client(), await mailing.forget(ANNA))
    assert answer.status_code == 200
    assert not await is_signed_in(early)
    for table in ("oauth_accounts", "passkeys"):
        assert await mailing.query(f"SELECT count(*) FROM {table}") == left


async def test_the_email_says_what_happened_and_where_to_go(serve_mailing: ServeMailing) -> None:
    mailing = await serve_mailing({"origin": "https://app.example.com"})
    client = await mailing.product.client()
    await client.post("/api/auth/signup", json={"email": ANNA, "password": PASSWORD, "name": "Anna <b>"})
    await mailing.postbox.wait(to=ANNA)
    headers = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    hostile = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-for": "203.0.113.9"}
    await client.post("/api/account/forgot-password", json={"email": ANNA}, headers=headers | hostile)
    email = (await mailing.postbox.wait(to=ANNA, count=2))[-1]
    assert email.subject == "Reset your password"
    assert [link.rpartition("/")[0] for link in email.links] == ["https://app.example.com/reset"]
    assert len(email.links[0].rpartition("/")[2]) >= 43  # 256 bits
    assert "Hello Anna <b>," in email.text
    assert "Anna &lt;b&gt;" in email.html
    assert f'href="{email.links[0]}"' in email.html
    for part in (email.text, email.html):
        assert "evil.example" not in part
        assert "203.0.113.9" not in part
        assert "127.0.0.1" in part
        assert "Firefox on Linux" in part
    assert "<img" not in email.html


async def test_the_caller_who_triggers_an_email_cannot_write_in_it(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    client = await mailing.product.client()
    for agent in ("http://evil.example/now", "Your-account is hacked: call +1 555", "evil.example", "a" * 5000):
        await client.post("/api/account/forgot-password", json={"email": ANNA}, headers={"user-agent": agent})
    for email in (await mailing.postbox.wait(to=ANNA, count=5))[1:]:
        assert "evil.example" not in email.text
        assert "hacked" not in email.text
        assert "aaaaa" not in email.text


@pytest.mark.parametrize("token", ["", "unknown", "ü" * 43, "\ud800", "x" * 10_000, "a\x00b"])
async def test_an_unknown_link_is_404_even_with_a_weak_password(product: ServedProduct, token: str) -> None:
    client = await product.client()
    assert read_refusal(
        await client.post(RESET, content=_json(token), headers={"content-type": "application/json"})
    ) == (
        404,
        "not_found",
    )


def _json(token: str) -> str:
    return '{"password": "weak", "token": "' + "".join(f"\\u{ord(one):04x}" for one in token) + '"}'


async def test_a_link_of_another_purpose_is_404(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    assert read_refusal(await reset(client, await mailing.read_token(ANNA))) == (404, "not_found")


async def test_a_used_link_is_409_and_changes_nothing(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    token = await mailing.forget(ANNA)
    assert (await reset(client, token)).status_code == 200
    assert read_refusal(await reset(client, token, "yet another swim today")) == (409, "link_used")
    assert (await sign_in(client, NEW)).status_code == 200


async def test_of_many_at_once_one_wins(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    token = await mailing.forget(ANNA)
    answers = await asyncio.gather(*(reset(client, token, f"{NEW} {number}") for number in range(6)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 200)
    assert (await sign_in(client, f"{NEW} {winner}")).status_code == 200


async def test_a_weak_password_is_422_and_the_link_stays_usable(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    token = await mailing.forget(ANNA)
    for weak in ("short", "password1", "anna2024", "x" * 4097):
        answer = await reset(client, token, weak)
        assert read_refusal(answer) == (422, "validation_failed")
        assert answer.json()["details"][0]["field"] == "password"
        assert weak not in answer.text
    assert await is_signed_in(client)
    assert (await reset(client, token)).status_code == 200


async def test_expired_superseded_and_outlived_links_are_410_alike(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    superseded = await mailing.forget(ANNA)
    expired = await mailing.forget(ANNA)
    await mailing.query("UPDATE account_tokens SET expires_at = now() WHERE consumed_at IS NULL")
    before_signin = await mailing.forget(ANNA)
    assert (await sign_in(client, PASSWORD)).status_code == 200
    before_change = await mailing.forget(ANNA)
    assert (await change(client)).status_code == 200
    answers = [await reset(client, token) for token in (superseded, expired, before_signin, before_change)]
    assert [read_refusal(answer) for answer in answers] == [(410, "link_expired")] * 4
    assert len({answer.text for answer in answers}) == 1


async def test_a_reset_does_not_skip_the_second_factor(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    await mailing.query("UPDATE users SET sealed_totp_secret = '\\x01'")
    assert (await reset(client, await mailing.forget(ANNA))).status_code == 200
    assert (await sign_in(client, NEW)).json() == {"ok": True, "mfaRequired": True}
    assert read_refusal(await client.get("/api/connections")) == (401, "mfa_required")


async def test_a_link_from_an_email_opens_the_way_while_strangers_use_up_the_total(serve_mailing: ServeMailing) -> None:
    """The proof that degraded service asks for: a person who reads the account's email may try from a new browser."""
    mailing = await serve_mailing(limits=tight_limits(signin_total=Limit(1, 300)))
    await mailing.sign_up(ANNA)
    new_browser, other = await mailing.product.client(), await mailing.product.client()
    assert (await sign_in(other, WRONG, "nobody@example.com")).status_code == 401
    assert (await sign_in(new_browser, PASSWORD)).status_code == 429
    page = await new_browser.post(f"/reset/{await mailing.forget(ANNA)}", data={"password": NEW})
    assert page.headers["location"] == "/signin?done=reset"
    assert (await sign_in(new_browser, NEW)).status_code == 200
    assert (await sign_in(other, NEW)).status_code == 429


async def test_half_a_sign_in_does_not_prevent_a_reset(serve_mailing: ServeMailing) -> None:
    clock = StepClock()
    mailing = await serve_mailing(clock=clock)
    protected = await turn_on(await mailing.sign_up(ANNA), ANNA, clock)
    token = await mailing.forget(ANNA)
    half_way = await protected.sign_in(mailing.product)
    assert (await half_way.get(f"/reset/{token}")).status_code == 200
    assert (await half_way.post("/api/account/2fa/verify", json={"code": protected.code()})).status_code == 200
    assert read_refusal(await reset(half_way, token)) == (410, "link_expired")


async def test_neither_token_nor_address_lies_in_the_clear(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    typed = "my password, typed in the wrong field"
    await (await mailing.product.client()).post("/api/account/forgot-password", json={"email": typed})
    token = await mailing.forget(ANNA)
    for table in ("account_tokens", "letters", "procrastinate_jobs", "audit_events", "attempt_counters"):
        stored = str(await mailing.query(f"SELECT string_agg(t::text, ' ') FROM {table} t"))
        assert token not in stored
        assert typed not in stored


async def test_five_emails_a_day_and_not_a_word_about_it(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    client = await mailing.product.client()
    answers = [await client.post("/api/account/forgot-password", json={"email": ANNA}) for _ in range(8)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"ok":true,"configured":true}')}
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA).count("Reset your password") == 5


async def test_a_caller_who_asks_too_often_learns_nothing_either(serve_mailing: ServeMailing) -> None:
    mailing = await serve_mailing(limits=tight_limits(forgot_address=Limit(2, 3600)))
    people = [f"person{number}@example.com" for number in range(3)]
    for person in people:
        await mailing.sign_up(person)
    client = await mailing.product.client()
    answers = [await client.post("/api/account/forgot-password", json={"email": person}) for person in people]
    assert [answer.status_code for answer in answers] == [200] * 3
    await mailing.finish_jobs()
    assert [len(mailing.postbox.find(person)) for person in people] == [2, 2, 1]


async def test_who_has_no_password_sets_one_by_a_link(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    await mailing.query("UPDATE users SET password_hash = NULL, email_verified_at = now()")
    await (await mailing.product.client()).post("/api/account/forgot-password", json={"email": ANNA})
    email = (await mailing.postbox.wait(to=ANNA, count=2))[-1]
    assert email.subject == "Set a password"
    signin, link = email.links
    assert signin.endswith("/signin")
    assert read_refusal(await reset(client, link.rpartition("/")[2], "short")) == (422, "validation_failed")
    assert (await reset(client, link.rpartition("/")[2])).status_code == 200
    assert not await is_signed_in(client)
    assert (await sign_in(client, NEW)).status_code == 200


async def test_a_fresh_sign_in_sets_the_first_password_on_the_page(mailing: Mailing) -> None:
    client, other = await mailing.sign_up(ANNA), await mailing.product.client()
    assert (await sign_in(other, PASSWORD)).status_code == 200
    await mailing.query("UPDATE users SET password_hash = NULL")
    assert f'action="{SET}"' in (await client.get("/settings/account")).text
    weak = await client.post(SET, data={"newPassword": "qz7kx"})
    assert (weak.status_code, "qz7kx" in weak.text) == (422, False)
    stolen = client.cookies[COOKIE]
    answer = await client.post(SET, data={"newPassword": NEW})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/account?done=password-set")
    assert client.cookies[COOKIE] != stolen
    assert (await is_signed_in(client), await is_signed_in(other)) == (True, False)
    assert (await sign_in(other, NEW)).status_code == 200
    again = await client.post(SET, data={"newPassword": "another one, rather long"})
    assert (again.status_code, "already has a password" in again.text) == (409, True)
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA).count("A password was set for your account") == 1
    assert await mailing.query("SELECT count(*) FROM audit_events WHERE kind = 'password_set'") == 1


async def test_a_stale_sign_in_sets_no_password(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    await mailing.query("UPDATE users SET password_hash = NULL")
    await mailing.query("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    stale = await mailing.product.client()
    stale.cookies = client.cookies
    mailing.product.registry.get(SignInSessions)._known.clear()
    page = (await stale.get("/settings/account")).text
    assert f'action="{SET}"' not in page
    assert 'href="/forgot"' in page
    answer = await stale.post(SET, data={"newPassword": NEW})
    assert (answer.status_code, NEW in answer.text) == (403, False)
    assert await mailing.query("SELECT password_hash IS NULL FROM users") is True


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (CHANGE, {"currentPassword": WRONG, "newPassword": NEW}, "password_change_failed"),
        ("/api/account/2fa/disable", {"password": WRONG}, "twofactor_off_failed"),
        ("/api/account/delete", {"password": WRONG}, "deletion_failed"),
    ],
)
async def test_a_wrong_password_is_in_the_audit_although_it_is_refused(
    mailing: Mailing, path: str, body: dict[str, str], kind: str
) -> None:
    client = await mailing.sign_up(ANNA)
    assert read_refusal(await client.post(path, json=body)) == (400, "bad_password")
    assert await mailing.query("SELECT details->>'method' FROM audit_events WHERE kind = %s", kind) == "password"
    assert "ntered a wrong password when" in (await client.get("/settings/account/activity")).text


async def test_a_change_ends_every_other_sign_in_and_renews_this_one(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    other = await mailing.product.client()
    assert (await sign_in(other, PASSWORD)).status_code == 200
    stolen = client.cookies[COOKIE]

    answer = await change(client)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert client.cookies[COOKIE] != stolen
    assert await is_signed_in(client)
    assert not await is_signed_in(other)
    thief = await mailing.product.client()
    thief.cookies.set(COOKIE, stolen)
    assert not await is_signed_in(thief)

    assert (await sign_in(other, PASSWORD)).status_code == 401
    assert (await sign_in(other, NEW)).status_code == 200
    emails = await mailing.postbox.wait(to=ANNA, count=2)
    assert emails[1].subject == "Your password was changed"
    assert await mailing.query("SELECT password_changed_at IS NOT NULL FROM users") is True
    assert await mailing.query("SELECT count(*) FROM audit_events WHERE kind = 'password_changed'") == 1


async def test_a_wrong_password_is_400_and_counted(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    answers = [await change(client, WRONG, "weak") for _ in range(10)]
    assert {read_refusal(answer) for answer in answers} == {(400, "bad_password")}
    blocked = await change(client)
    assert read_refusal(blocked) == (429, "rate_limited")
    assert 0 < int(blocked.headers["retry-after"]) <= 300
    assert (await sign_in(client, PASSWORD)).status_code == 200


async def test_guesses_at_once_get_no_further(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    answers = await asyncio.gather(*(change(client, WRONG) for _ in range(30)))
    assert Counter(answer.status_code for answer in answers) == {400: 10, 429: 20}


@pytest.mark.parametrize("new", ["short", "basewarden1", PASSWORD])
async def test_a_weak_or_the_same_new_password_is_422(mailing: Mailing, new: str) -> None:
    client = await mailing.sign_up(ANNA)
    answer = await change(client, PASSWORD, new)
    assert read_refusal(answer) == (422, "validation_failed")
    assert answer.json()["details"][0]["field"] == "newPassword"
    assert (await sign_in(client, PASSWORD)).status_code == 200


async def test_without_a_password_there_is_none_to_change(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    await mailing.query("UPDATE users SET password_hash = NULL")
    assert read_refusal(await change(client)) == (409, "oauth_only")


async def test_only_who_is_signed_in_can_change_it(mailing: Mailing) -> None:
    client = await mailing.product.client()
    assert read_refusal(await change(client)) == (401, "unauthenticated")
    await mailing.sign_up(ANNA)
    client.headers["authorization"] = "Bearer bw_made_up"
    assert read_refusal(await change(client)) == (401, "unauthenticated")


async def test_two_changes_from_one_password_make_one(mailing: Mailing) -> None:
    client = await mailing.sign_up(ANNA)
    other = await mailing.product.client()
    assert (await sign_in(other, PASSWORD)).status_code == 200
    answers = await asyncio.gather(change(client, new=f"{NEW} one"), change(other, new=f"{NEW} two"))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[1] in {400, 401}
    assert await is_signed_in(client) is not await is_signed_in(other)


async def test_a_sign_in_under_way_with_the_old_password_comes_too_late(mailing: Mailing, app_database: str) -> None:
    """The password is right when it is checked, and another one when the session would begin."""
    client = await mailing.sign_up(ANNA)
    async with await psycopg.AsyncConnection.connect(app_database) as changing:
        await changing.execute("UPDATE users SET password_hash = 'another', password_changed_at = now()")
        signing_in = asyncio.create_task(sign_in(client, PASSWORD))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await wait_until(
            lambda: mailing.query(waiting),
            "the request to wait for the lock",
            matches=lambda found: found != 0,
            seconds=10,
        )
        await changing.commit()
        assert read_refusal(await signing_in) == (401, "invalid_credentials")


async def test_a_sign_in_from_somewhere_new_is_announced(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    browser = await mailing.product.client()
    assert (await sign_in(browser, PASSWORD)).status_code == 200  # with the program and the address of the first time
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA) == ["Confirm your email address"]
    await mailing.query("UPDATE signin_sessions SET address = '198.51.100.1', client = 'another browser'")
    assert (await sign_in(browser, PASSWORD)).status_code == 200
    assert (await mailing.postbox.wait(to=ANNA, count=2))[1].subject == "New sign-in to your account"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RESET, {"token": "x"}),
        (RESET, {"token": 1, "password": NEW}),
        (RESET, {"token": "x", "password": NEW, "more": 1}),
        (CHANGE, {"currentPassword": NEW}),
        (CHANGE, {"currentPassword": NEW, "newPassword": ["x"]}),
        (CHANGE, []),
    ],
)
async def test_a_body_that_does_not_fit_is_422(owner: httpx.AsyncClient, path: str, body: Any) -> None:
    assert read_refusal(await owner.post(path, json=body)) == (422, "validation_failed")


@pytest.mark.parametrize("path", [RESET, CHANGE, "/api/account/forgot-password"])
@pytest.mark.parametrize(
    ("kind", "content"),
    [("application/json", "{"), ("text/plain", "{}"), ("application/x-www-form-urlencoded", "email=a")],
)
async def test_a_body_that_is_no_json_is_400(owner: httpx.AsyncClient, path: str, kind: str, content: str) -> None:
    assert read_refusal(await owner.post(path, content=content, headers={"content-type": kind})) == (400, "bad_json")
