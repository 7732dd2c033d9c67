"""The links of emails: confirming an address, changing it, and the pages that work without script."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from basewarden.accounts import EmailChange, Purpose, SignInSessions, make_operator_link
from basewarden.audit import ClientInfo
from basewarden.db import Database
from basewarden.errors import StartError, Unauthenticated
from tests.fixtures.app import PASSWORD, Serve, ServedProduct, read_refusal
from tests.fixtures.mailing import Mailing, ServeMailing

ANNA, NEW_ANNA, BERT = "anna@example.com", "anna@new.example", "bert@example.com"
NEW = "a short swim in the lake"
COOKIE = "authjs.session-token"
START, CONFIRM, CHANGE = "/api/account/verify-email/start", "/api/account/verify-email/confirm", "/api/account/email"
SESSIONS = "/api/account/sessions"
IS_VERIFIED = "SELECT email_verified_at IS NOT NULL FROM users WHERE email = %s"


async def confirm(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(CONFIRM, json={"token": token})


async def is_signed_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/connections")).status_code == 200


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> int:
    return (await client.post("/api/auth/signin", json={"email": email, "password": password})).status_code


async def ask_for_change(mailing: Mailing, person: httpx.AsyncClient, email: str = NEW_ANNA) -> str:
    answer = await person.post(CHANGE, json={"email": email})
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "configured": True})
    return await mailing.read_token(email)


async def test_the_email_after_signing_up_confirms_the_address(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    token, anybody = await mailing.read_token(ANNA), await mailing.product.client()
    assert await mailing.query(IS_VERIFIED, ANNA) is False
    answer = await confirm(anybody, token)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert await mailing.query(IS_VERIFIED, ANNA) is True
    assert read_refusal(await confirm(anybody, token)) == (409, "link_used")
    assert not await is_signed_in(anybody)
    assert await mailing.query("SELECT count(*) FROM audit_events WHERE kind = 'email_verified'") == 1


async def test_links_that_confirm_nothing(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    for token in ("", "unknown", "ü", "x" * 50_000):
        assert read_refusal(await confirm(person, token)) == (404, "not_found")
    assert read_refusal(await confirm(person, await mailing.forget(ANNA))) == (404, "not_found")

    superseded = await mailing.read_token(ANNA)
    assert (await person.post(START)).status_code == 200
    expired = await mailing.read_token(ANNA, count=2)
    assert read_refusal(await confirm(person, superseded)) == (410, "link_expired")
    await mailing.query("UPDATE account_tokens SET expires_at = now()")
    assert read_refusal(await confirm(person, expired)) == (410, "link_expired")
    assert await mailing.query(IS_VERIFIED, ANNA) is False


async def test_a_link_for_an_address_that_was_left_is_410(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    token = await mailing.read_token(ANNA)
    await mailing.query("UPDATE users SET email = 'x@example.com', email_key = 'x@example.com'")
    assert read_refusal(await confirm(person, token)) == (410, "link_expired")
    page = await person.get(f"/verify-email/{token}")
    assert page.status_code == 410


async def test_of_many_at_once_one_confirms(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    token = await mailing.read_token(ANNA)
    answers = await asyncio.gather(*(confirm(person, token) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}


async def test_asking_again_sends_three_emails_and_then_refuses_loudly(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    answers = [await person.post(START) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[0].json() == {"ok": True, "configured": True, "alreadyVerified": False}
    assert "retry-after" in answers[-1].headers
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA) == ["Confirm your email address"] * 3
    assert (await confirm(person, await mailing.read_token(ANNA, count=3))).status_code == 200
    assert mailing.subjects(ANNA) == ["Confirm your email address"] * 3


async def test_who_is_verified_gets_no_email(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    await confirm(person, await mailing.read_token(ANNA))
    assert (await person.post(START)).json() == {"ok": True, "configured": True, "alreadyVerified": True}
    await mailing.finish_jobs()
    assert len(mailing.postbox.find(ANNA)) == 1


async def test_a_signed_out_caller_and_a_deployment_without_mail(product: ServedProduct) -> None:
    client = await product.client()
    assert read_refusal(await client.post(START)) == (401, "unauthenticated")
    assert read_refusal(await client.post(CHANGE, json={"email": NEW_ANNA})) == (401, "unauthenticated")
    person = await product.sign_up(ANNA)
    assert (await person.post(START)).json() == {"ok": True, "configured": False, "alreadyVerified": False}
    assert (await person.post(CHANGE, json={"email": NEW_ANNA})).json() == {"ok": True, "configured": False}


async def test_an_address_changes_when_its_email_is_answered(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    other = await mailing.product.client()
    assert await sign_in(other, ANNA) == 200
    reset_token = await mailing.forget(ANNA)
    token = await ask_for_change(mailing, person)
    await mailing.finish_jobs()
    notice = mailing.postbox.find(ANNA)[-1]
    assert notice.subject == "Email address change requested"
    assert NEW_ANNA in notice.text
    assert token not in notice.text
    assert await is_signed_in(other)
    assert await sign_in(await mailing.product.client(), NEW_ANNA) == 401

    before = person.cookies[COOKIE]
    assert (await confirm(person, token)).status_code == 200
    assert person.cookies[COOKIE] != before
    assert (await person.get("/api/auth/session")).json()["user"]["email"] == NEW_ANNA
    assert not await is_signed_in(other)
    assert await mailing.query(IS_VERIFIED, NEW_ANNA) is True
    assert await sign_in(await mailing.product.client(), NEW_ANNA) == 200
    assert await sign_in(await mailing.product.client(), ANNA) == 401
    await mailing.finish_jobs()
    assert mailing.subjects(ANNA)[-1] == "Your email address was changed"
    answer = await person.post("/api/account/reset-password", json={"token": reset_token, "password": NEW})
    assert read_refusal(answer) == (410, "link_expired")


async def test_answered_elsewhere_the_change_ends_every_sign_in(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    token = await ask_for_change(mailing, person)
    stranger = await mailing.sign_up(BERT)
    kept = stranger.cookies[COOKIE]
    assert (await confirm(stranger, token)).status_code == 200
    assert not await is_signed_in(person)
    assert await is_signed_in(stranger)
    assert stranger.cookies[COOKIE] == kept


async def test_a_taken_address_is_answered_alike_and_only_its_owner_learns(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    await mailing.sign_up(BERT)
    taken = await person.post(CHANGE, json={"email": BERT.upper()})
    assert (taken.status_code, taken.json()) == (200, {"ok": True, "configured": True})
    email = (await mailing.postbox.wait(to=BERT.upper().replace("EXAMPLE.COM", "example.com")))[-1]
    assert email.subject == "This address already has an account"
    assert not any("/verify-email/" in link for link in email.links)
    assert ANNA not in email.text


async def test_an_address_taken_meanwhile_is_410(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    token = await ask_for_change(mailing, person)
    await mailing.product.sign_up(NEW_ANNA)
    assert read_refusal(await confirm(person, token)) == (410, "link_expired")
    assert await is_signed_in(person)
    assert await sign_in(await mailing.product.client(), ANNA) == 200


async def test_two_accounts_that_want_one_address_race_cleanly(mailing: Mailing) -> None:
    anna, bert = await mailing.sign_up(ANNA), await mailing.sign_up(BERT)
    first = await ask_for_change(mailing, anna)
    assert (await bert.post(CHANGE, json={"email": NEW_ANNA})).status_code == 200
    second = await mailing.read_token(NEW_ANNA, count=2)
    answers = await asyncio.gather(confirm(anna, first), confirm(bert, second))
    assert sorted(answer.status_code for answer in answers) == [200, 410]


async def test_a_new_password_makes_a_pending_change_worthless(mailing: Mailing) -> None:
    person = await mailing.sign_up(ANNA)
    token = await ask_for_change(mailing, person)
    anybody = await mailing.product.client()
    body = {"token": await mailing.forget(ANNA), "password": NEW}
    assert (await anybody.post("/api/account/reset-password", json=body)).status_code == 200
    assert read_refusal(await confirm(anybody, token)) == (410, "link_expired")


@pytest.mark.parametrize("ending", ["all others", "that one"])
async def test_who_signs_a_stranger_out_makes_their_pending_change_worthless(mailing: Mailing, ending: str) -> None:
    """An account that signs in with GitHub or a passkey has no password that could be changed instead."""
    anna, thief = await mailing.sign_up(ANNA), await mailing.product.client()
    assert await sign_in(thief, ANNA) == 200
    token = await ask_for_change(mailing, thief, "thief@evil.example")
    (other,) = [one for one in (await anna.get(SESSIONS)).json()["sessions"] if not one["current"]]
    path = SESSIONS if ending == "all others" else f"{SESSIONS}/{other['id']}"
    assert (await anna.delete(path)).is_success
    assert read_refusal(await confirm(thief, token)) == (410, "link_expired")
    assert await mailing.query("SELECT email FROM users") == ANNA


async def test_a_change_of_address_that_is_held_back_dies_with_its_session(mailing: Mailing) -> None:
    """Its cookie was good when the request began; then the person got a new password."""
    await mailing.sign_up(ANNA)
    thief, release = await mailing.product.client(), asyncio.Event()
    assert await sign_in(thief, ANNA) == 200

    async def pieces() -> AsyncIterator[bytes]:
        yield b"email="
        await release.wait()
        yield b"thief%40evil.example"

    form = {"content-type": "application/x-www-form-urlencoded"}
    async with asyncio.TaskGroup() as group:
        held = group.create_task(thief.post("/settings/account/email", content=pieces(), headers=form))
        reset = {"token": await mailing.forget(ANNA), "password": NEW}
        assert (await (await mailing.product.client()).post("/api/account/reset-password", json=reset)).is_success
        release.set()
    assert held.result().headers["location"].startswith("/signin?")
    await mailing.finish_jobs()
    assert mailing.subjects("thief@evil.example") == []
    assert await mailing.query("SELECT count(*) FROM account_tokens WHERE purpose = 'change_email'") == 0


async def test_no_change_is_begun_by_a_session_that_has_just_ended(mailing: Mailing) -> None:
    """The cookie was good when the request came; what ended it was committed before the request got its turn."""
    anna, thief = await mailing.sign_up(ANNA), await mailing.product.client()
    assert await sign_in(thief, ANNA) == 200
    registry = mailing.product.registry
    cookie = f"{COOKIE}={thief.cookies[COOKIE]}".encode()
    person = await registry.get(SignInSessions).find_signed_in({"headers": [(b"cookie", cookie)]})
    assert person is not None
    assert (await anna.delete(SESSIONS)).json() == {"ended": 1}
    with pytest.raises(Unauthenticated):
        async with registry.get(Database).unit_of_work() as session:
            await registry.get(EmailChange).start(session, person, "thief@evil.example", ClientInfo())


async def test_a_change_needs_a_fresh_sign_in_and_a_new_address(mailing: Mailing, serve_mailing: ServeMailing) -> None:
    person = await mailing.sign_up(ANNA)
    for email in ("no address", ANNA):
        answer = await person.post(CHANGE, json={"email": email})
        assert read_refusal(answer) == (422, "validation_failed")
        assert answer.json()["details"][0]["field"] == "email"
    await mailing.query("UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'")
    other = (await serve_mailing()).product  # its cache knows nothing of the session
    url = f"http://127.0.0.1:{other.port}{CHANGE}"
    assert read_refusal(await person.post(url, json={"email": NEW_ANNA})) == (403, "reauth_required")


async def test_the_pages_work_without_script_and_opening_uses_nothing_up(mailing: Mailing) -> None:
    await mailing.sign_up(ANNA)
    browser = await mailing.product.client()
    verify = f"/verify-email/{await mailing.read_token(ANNA)}"
    for _ in range(2):
        page = await browser.get(verify)
        assert page.status_code == 200
        assert ANNA in page.text
        assert page.headers["referrer-policy"] == "strict-origin"
    answer = await browser.post(verify)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?done=verified")
    signin = (await browser.get(answer.headers["location"])).text
    assert "Your email address is confirmed" in signin
    assert f'value="{ANNA}"' in signin
    assert (await browser.get(verify)).status_code == 409

    reset = f"/reset/{await mailing.forget(ANNA)}"
    page = await browser.get(reset)
    assert page.status_code == 200
    assert 'autocomplete="new-password"' in page.text
    assert page.headers["referrer-policy"] == "strict-origin"
    weak = await browser.post(reset, data={"password": "tiny pw"})
    assert weak.status_code == 422
    assert "at least 8" in weak.text
    assert "tiny pw" not in weak.text
    assert (await browser.post(reset, data={})).status_code == 422
    answer = await browser.post(reset, data={"password": NEW})
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?done=reset")
    assert "Your password was changed" in (await browser.get(answer.headers["location"])).text
    assert await sign_in(browser, ANNA, NEW) == 200


@pytest.mark.parametrize("path", ["/reset", "/verify-email"])
async def test_bad_links_have_a_page_that_leads_on(mailing: Mailing, path: str) -> None:
    person = await mailing.sign_up(ANNA)
    unknown = f"{path}/{'x' * 43}"
    for answer in (await person.get(unknown), await person.post(unknown, data={"password": NEW})):
        assert answer.status_code == 404
        assert "This link is not valid" in answer.text
        assert answer.headers["referrer-policy"] == "strict-origin"
    token = await (mailing.forget(ANNA) if path == "/reset" else mailing.read_token(ANNA))
    await mailing.query("UPDATE account_tokens SET dead_at = now()")
    for answer in (await person.get(f"{path}/{token}"), await person.post(f"{path}/{token}", data={"password": NEW})):
        assert answer.status_code == 410
        assert ('href="/forgot"' if path == "/reset" else 'href="/settings/account"') in answer.text
    await mailing.query("UPDATE account_tokens SET consumed_at = now()")
    assert (await person.post(f"{path}/{token}", data={"password": NEW})).status_code == 409


async def test_the_sign_in_page_leads_to_a_new_password(client: httpx.AsyncClient) -> None:
    assert 'href="/forgot"' in (await client.get("/signin")).text


async def test_an_operator_makes_links_without_mail(serve: Serve, app_database: str) -> None:
    product = await serve()
    person = await product.sign_up(ANNA)
    database = product.registry.get(Database)
    reset = await make_operator_link(database, product.settings, f" {ANNA.upper()}", Purpose.RESET)
    assert reset.startswith(f"{product.settings.origin}/reset/")
    assert (await person.post(urlsplit(reset).path, data={"password": NEW})).status_code == 303
    assert await sign_in(person, ANNA, NEW) == 200
    assert (await person.post(START)).json()["alreadyVerified"] is False  # nothing proved the address

    verify = await make_operator_link(database, product.settings, ANNA, Purpose.VERIFY)
    assert (await person.post(urlsplit(verify).path)).status_code == 303
    assert (await person.post(START)).json()["alreadyVerified"] is True
    with pytest.raises(StartError):
        await make_operator_link(database, product.settings, "nobody@example.com", Purpose.RESET)
