"""Confirming who one is, by HTTP: `/api/account/reauth`, its page, and new agent tokens, which need it."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import Limit
from tests.fixtures.app import PASSWORD, ProjectDatabase, Serve, ServedProduct, read_refusal, tight_limits
from tests.fixtures.twofactor import Protect, Protected
from tests.flows.records import Records

ANNA, BOB = "anna@example.com", "bob@example.com"
REAUTH, CONFIRM = "/api/account/reauth", "/settings/account/confirm"
FRESH_ONLY = "/api/account/export"
COOKIE = "authjs.session-token"
WRONG = "a wrong guess entirely"
AGENT = {"name": "price-bot", "access": "write"}


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


async def sign_up_long_ago(product: ServedProduct, records: Records, email: str = ANNA) -> httpx.AsyncClient:
    client = await product.sign_up(email)
    await records.age_signin(email)
    return client


async def sign_in_long_ago(product: ServedProduct, records: Records, email: str) -> httpx.AsyncClient:
    """One more sign-in session of an existing person; no process has seen it yet."""
    client = await product.client()
    assert (await client.post("/api/auth/signin", json={"email": email, "password": PASSWORD})).status_code == 200
    await records.age_signin(email)
    return client


async def reauth(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await client.post(REAUTH, json={"password": password})


async def list_events(records: Records) -> list[tuple[str, Any]]:
    return [(row["kind"], row["details"]) for row in await records.rows("SELECT kind, details FROM audit_events")]


async def test_the_password_makes_an_old_sign_in_fresh(product: ServedProduct, records: Records) -> None:
    anna = await sign_up_long_ago(product, records)
    assert read_refusal(await anna.get(FRESH_ONLY)) == (403, "reauth_required")
    answer = await reauth(anna)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert (await anna.get(FRESH_ONLY)).status_code == 200
    assert ("reauthenticated", {"method": "password"}) in await list_events(records)


async def test_the_cookie_is_a_new_one_and_the_old_one_is_dead_everywhere(serve: Serve, records: Records) -> None:
    here, there = await serve(), await serve()
    anna = await here.sign_up(ANNA)
    thief = await there.client()
    thief.headers["cookie"] = f"{COOKIE}={anna.cookies[COOKIE]}"
    assert (await thief.get("/api/account")).status_code == 200
    old = anna.cookies[COOKIE]
    assert (await reauth(anna)).status_code == 200
    assert anna.cookies[COOKIE] != old
    async with asyncio.timeout(4):
        while (await thief.get("/api/account")).status_code == 200:
            await there.settled()
    assert (await thief.get("/api/account")).status_code == 401
    (session,) = (await anna.get("/api/account/sessions")).json()["sessions"]
    assert session["current"] is True


async def test_a_wrong_password_is_400_and_changes_nothing(product: ServedProduct, records: Records) -> None:
    anna = await sign_up_long_ago(product, records)
    old = anna.cookies[COOKIE]
    for wrong in (WRONG, "", " " + PASSWORD, PASSWORD.upper()):
        assert read_refusal(await reauth(anna, wrong)) == (400, "bad_password")
    assert anna.cookies[COOKIE] == old
    assert read_refusal(await anna.get(FRESH_ONLY)) == (403, "reauth_required")
    assert ("signin_failed", {"method": "password"}) in await list_events(records)


async def test_guesses_are_counted_by_account_over_sessions_processes_and_at_once(
    serve: Serve, records: Records
) -> None:
    limits = tight_limits(password_account=Limit(3, 300))
    here, there = await serve(limits=limits), await serve(limits=limits)
    anna = await here.sign_up(ANNA)
    elsewhere = await sign_in_long_ago(there, records, ANNA)
    answers = await asyncio.gather(*(reauth(who, WRONG) for who in (anna, elsewhere) * 3))
    assert sorted(answer.status_code for answer in answers) == [400, 400, 400, 429, 429, 429]
    right = await reauth(anna)
    assert read_refusal(right) == (429, "rate_limited")
    assert int(right.headers["retry-after"]) > 0
    page = await elsewhere.post(CONFIRM, data={"password": PASSWORD, "next": "/connections"})
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    bob = await here.sign_up(BOB)
    assert (await reauth(bob)).status_code == 200


async def test_right_ones_are_not_counted(serve: Serve) -> None:
    product = await serve(limits=tight_limits(password_account=Limit(2, 300)))
    anna = await product.sign_up(ANNA)
    for _ in range(4):
        assert (await reauth(anna)).status_code == 200


async def test_without_a_password_there_is_another_way(product: ServedProduct, records: Records) -> None:
    anna = await sign_up_long_ago(product, records)
    await records.run("UPDATE users SET password_hash = NULL")
    assert read_refusal(await reauth(anna)) == (409, "oauth_only")
    page = await anna.get(CONFIRM)
    assert 'type="password"' not in page.text
    assert "sign out and sign in again" in page.text
    assert (await anna.post(CONFIRM, data={"password": PASSWORD})).status_code == 409


async def test_a_password_does_for_whom_the_second_factor_has_passed(timed: ServedProduct, protect: Protect) -> None:
    anna: Protected = await protect(timed)
    answer = await reauth(anna.person)
    assert answer.status_code == 200
    assert (await anna.person.get("/api/account")).status_code == 200  # the MFA cookie still holds
    half = await anna.sign_in(timed)
    assert read_refusal(await reauth(half)) == (401, "mfa_required")
    assert (await half.get(CONFIRM)).headers["location"].startswith("/signin/2fa?next=")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("{}", 422),
        ('{"password": 7}', 422),
        ('{"password": "\\ud800"}', 422),
        ('{"password": "x", "code": "123456"}', 422),
        ('{"password": "' + "x" * 50_000 + '"}', 422),
        ('{"password": "a\\u0000b"}', 400),
    ],
)
async def test_hostile_bodies_are_refused_quietly(product: ServedProduct, body: str, status: int) -> None:
    anna = await product.sign_up(ANNA)
    answer = await anna.post(REAUTH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert "x" * 100 not in answer.text


async def test_a_session_that_was_ended_meanwhile_is_not_made_fresh(product: ServedProduct, records: Records) -> None:
    """The password is right, but the row says that this session was ended: nothing brings it back."""
    anna = await product.sign_up(ANNA)
    assert (await anna.get("/api/account")).status_code == 200
    await records.run("UPDATE signin_sessions SET ended_at = now()")
    assert read_refusal(await reauth(anna)) == (401, "unauthenticated")
    assert "reauthenticated" not in [kind for kind, _ in await list_events(records)]


async def test_the_page_confirms_without_script_and_goes_on(product: ServedProduct, records: Records) -> None:
    anna = await sign_up_long_ago(product, records)
    refused = await anna.get("/settings/account/delete")
    assert (refused.status_code, refused.headers["location"]) == (303, f"{CONFIRM}?next=/settings/account/delete")
    page = await anna.get(refused.headers["location"])
    assert page.status_code == 200
    assert 'name="next" value="/settings/account/delete"' in page.text
    assert 'autocomplete="current-password"' in page.text
    assert ANNA in page.text

    wrong = await anna.post(CONFIRM, data={"password": WRONG, "next": "/settings/account/delete"})
    assert wrong.status_code == 422
    assert "The password is wrong." in wrong.text
    assert 'aria-describedby="password-error"' in wrong.text
    assert WRONG not in wrong.text
    assert 'name="next" value="/settings/account/delete"' in wrong.text
    assert (await anna.post(CONFIRM, data={"password": "", "next": "/x"})).status_code == 422

    right = await anna.post(CONFIRM, data={"password": PASSWORD, "next": "/settings/account/delete"})
    assert (right.status_code, right.headers["location"]) == (303, "/settings/account/delete")
    assert (await anna.get("/settings/account/delete")).status_code == 200
    assert (await anna.get(f"{CONFIRM}?next=/connections")).headers["location"] == "/connections"


@pytest.mark.parametrize(
    "hostile", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/\t/evil.example", ""]
)
async def test_it_leads_nowhere_else(product: ServedProduct, hostile: str) -> None:
    anna = await product.sign_up(ANNA)
    for answer in (
        await anna.get(CONFIRM, params={"next": hostile}),
        await anna.post(CONFIRM, data={"password": PASSWORD, "next": hostile}),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"] in ("/connections", "/settings/account")


async def test_what_went_wrong_at_github_is_said_on_the_page(product: ServedProduct, records: Records) -> None:
    anna = await sign_up_long_ago(product, records)
    page = await anna.get(f"{CONFIRM}?next=/connections&done=github_denied")
    assert "You did not authorize Basewarden at GitHub" in page.text
    assert "<script>alert" not in (await anna.get(f"{CONFIRM}?done=<script>alert(1)</script>")).text


async def test_a_new_agent_token_needs_a_fresh_sign_in(
    product: ServedProduct, project: ProjectDatabase, records: Records
) -> None:
    anna = await product.sign_up(ANNA)
    connection = await anna.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    path = f"/api/connections/{connection.json()['id']}/agents"
    old = await sign_in_long_ago(product, records, ANNA)
    assert read_refusal(await old.post(path, json=AGENT)) == (403, "reauth_required")
    assert (await old.get(path)).json()["agents"] == []
    bob = await sign_up_long_ago(product, records, BOB)
    assert read_refusal(await bob.post(path, json=AGENT)) == (404, "not_found")
    assert (await reauth(old)).status_code == 200
    assert (await old.post(path, json=AGENT)).status_code == 201


@pytest.fixture
async def old_owner(
    product: ServedProduct, project: ProjectDatabase, records: Records
) -> tuple[httpx.AsyncClient, str, str]:
    """An owner whose sign-in is older than ten minutes, the pages of their agents, and the same by the API."""
    anna = await product.sign_up(ANNA)
    connection = await anna.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    old = await sign_in_long_ago(product, records, ANNA)
    return old, f"/c/{connection.json()['id']}/agents", f"/api/connections/{connection.json()['id']}/agents"


async def test_the_form_of_an_agent_asks_who_it_is_and_loses_nothing(
    old_owner: tuple[httpx.AsyncClient, str, str], records: Records
) -> None:
    old, path, listed = old_owner
    offered = (await old.get(f"{path}/new")).text
    assert f'action="{path}"' in offered
    assert 'name="confirmPassword" type="password" autocomplete="current-password"' in offered
    form = {**AGENT, "name": "price-bot <1>", "tables": "notes", "formKey": _read_form_key(offered)}

    stale = await old.post(path, data=form)
    assert stale.status_code == 403
    assert 'data-steps="3"' in stale.text
    wrong = await old.post(path, data={**form, "confirmPassword": WRONG})
    assert wrong.status_code == 422
    assert "The password is wrong." in wrong.text
    assert 'aria-describedby="confirmPassword-error"' in wrong.text
    invalid = await old.post(path, data={**form, "claims": "{", "confirmPassword": PASSWORD})
    assert invalid.status_code == 422
    assert "must be a JSON object" in invalid.text
    for page in (stale.text, wrong.text, invalid.text):
        assert 'value="price-bot &lt;1&gt;"' in page
        assert f'value="{form["formKey"]}"' in page
        assert 'name="confirmPassword"' in page
        assert WRONG not in page
        assert PASSWORD not in page
    assert (await old.get(listed)).json()["agents"] == []
    assert read_refusal(await old.get(FRESH_ONLY)) == (403, "reauth_required")
    assert ("signin_failed", {"method": "password"}) in await list_events(records)

    before = old.cookies[COOKIE]
    made = await old.post(path, data={**form, "confirmPassword": PASSWORD})
    assert made.status_code == 201
    assert "bwa_" in made.text
    assert PASSWORD not in made.text
    assert old.cookies[COOKIE] != before
    assert (await old.get(FRESH_ONLY)).status_code == 200
    assert 'name="confirmPassword"' not in (await old.get(f"{path}/new")).text
    assert ("reauthenticated", {"method": "password"}) in await list_events(records)
    assert len((await old.get(listed)).json()["agents"]) == 1


async def test_the_proof_in_a_form_holds_although_the_form_is_refused(
    old_owner: tuple[httpx.AsyncClient, str, str],
) -> None:
    old, path, listed = old_owner
    refused = await old.post(path, data={**AGENT, "tables": "nosuchtable", "confirmPassword": PASSWORD})
    assert refused.status_code == 422
    assert "The project has no table named" in refused.text
    assert 'name="confirmPassword"' not in refused.text
    assert (await old.get(FRESH_ONLY)).status_code == 200
    assert (await old.get(listed)).json()["agents"] == []


async def test_guesses_in_a_form_are_counted(serve: Serve, project: ProjectDatabase, records: Records) -> None:
    product = await serve(limits=tight_limits(password_account=Limit(2, 300)))
    anna = await product.sign_up(ANNA)
    connection = await anna.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn})
    path = f"/c/{connection.json()['id']}"
    old = await sign_in_long_ago(product, records, ANNA)
    form = {**AGENT, "confirmPassword": WRONG}
    assert (await old.post(f"{path}/agents", data=form)).status_code == 422
    assert (await old.post(f"{path}/delete", data={"confirmPassword": WRONG})).status_code == 422
    last = await old.post(f"{path}/agents", data={**form, "confirmPassword": PASSWORD})
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) > 0
    assert (await old.get(f"/api{path.replace('/c/', '/connections/')}/agents")).json()["agents"] == []


async def test_without_a_password_a_form_stays_open_while_one_confirms_beside_it(
    old_owner: tuple[httpx.AsyncClient, str, str], records: Records
) -> None:
    old, path, _ = old_owner
    await records.run("UPDATE users SET password_hash = NULL")  # before a process has seen this sign-in session
    offered = (await old.get(f"{path}/new")).text
    assert 'name="confirmPassword"' not in offered
    beside = re.search(rf'href="({CONFIRM}[^"]*)" target="_blank" rel="noopener"', offered)
    assert beside is not None
    assert (await old.post(path, data=AGENT)).status_code == 403
    assert (await old.post(path, data={**AGENT, "confirmPassword": PASSWORD})).status_code == 409


def _read_form_key(page: str) -> str:
    found = re.search(r'name="formKey" value="([^"]+)"', page)
    assert found is not None
    return unescape(found[1])
