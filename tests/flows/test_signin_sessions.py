"""`/api/account` and `/api/account/sessions`, by HTTP: what an account is, where it is signed in, and ending that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import Person, SessionList, SignInSessions, lock_user
from basewarden.audit import ClientInfo
from basewarden.db import Database
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.twofactor import Protected
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records

ANNA, BOB = "anna@example.com", "bob@example.com"
ACCOUNT, SESSIONS = "/api/account", "/api/account/sessions"
COOKIE = "authjs.session-token"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
TIMEOUT_SECONDS = 2  # well below what a process remembers a sign-in for: only an announcement is so fast


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def anna(product: ServedProduct) -> httpx.AsyncClient:
    return await product.sign_up(ANNA)


async def sign_in(product: ServedProduct, agent: str = FIREFOX, email: str = ANNA) -> httpx.AsyncClient:
    client = await product.client()
    client.headers["user-agent"] = agent
    answer = await client.post("/api/auth/signin", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    return client


async def list_sessions(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get(SESSIONS)
    assert answer.status_code == 200
    return list(answer.json()["sessions"])


async def own_id(client: httpx.AsyncClient) -> str:
    (current,) = [one["id"] for one in await list_sessions(client) if one["current"]]
    return str(current)


async def is_signed_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/connections")).status_code == 200


async def wait_until_out(product: ServedProduct, client: httpx.AsyncClient) -> None:
    await wait_until(
        lambda: is_signed_in(client),
        "the sign-in session to end",
        matches=lambda found: not found,
        seconds=TIMEOUT_SECONDS,
    )


async def list_kinds(records: Records) -> list[str]:
    return [row["kind"] for row in await records.rows("SELECT kind FROM audit_events ORDER BY id")]


async def test_an_account_says_what_it_is(anna: httpx.AsyncClient, records: Records) -> None:
    answer = await anna.get(ACCOUNT)
    assert answer.status_code == 200
    body = answer.json()
    assert body["id"] == str(await records.person_id(ANNA))
    assert body["createdAt"]
    del body["id"], body["createdAt"]
    assert body == {
        "email": ANNA,
        "name": "",
        "emailVerified": False,
        "hasPassword": True,
        "twoFactor": False,
        "recoveryCodesLeft": 0,
        "passkeys": 0,
        "github": None,
        "deletionDueAt": None,
    }


async def test_it_counts_what_opens_it(anna: httpx.AsyncClient, records: Records) -> None:
    person_id = await records.person_id(ANNA)
    await records.add_account_rows("word", person_id)
    await records.insert("recovery_codes", user_id=person_id, position=1, code_hash="x", used_at="2026-01-01")
    await records.run("UPDATE users SET email_verified_at = now(), deletion_due_at = '2099-01-01'")
    body = (await anna.get(ACCOUNT)).json()
    assert (body["name"], body["emailVerified"]) == ("word", True)
    assert (body["recoveryCodesLeft"], body["passkeys"], body["github"]) == (1, 1, "word")
    assert body["deletionDueAt"].startswith("2099-01-01")


async def test_a_protected_account_counts_its_codes(anna_protected: Protected) -> None:
    body = (await anna_protected.person.get(ACCOUNT)).json()
    assert (body["twoFactor"], body["recoveryCodesLeft"]) == (True, 10)


@pytest.fixture
async def anna_protected(timed: ServedProduct, protect: Any) -> Protected:
    protected: Protected = await protect(timed)
    return protected


async def test_a_name_is_changed_everywhere_at_once(serve: Serve, records: Records) -> None:
    here, there = await serve(), await serve()
    anna, elsewhere = await here.sign_up(ANNA), await there.client()
    elsewhere.cookies = anna.cookies
    assert (await elsewhere.get("/api/auth/session")).json()["user"]["name"] == ""
    answer = await anna.patch(ACCOUNT, json={"name": "  Anna  B.  "})
    assert (answer.status_code, answer.json()["name"]) == (200, "Anna  B.")
    assert answer.json() == (await anna.get(ACCOUNT)).json()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await elsewhere.get("/api/auth/session")).json()["user"]["name"] != "Anna  B.":
            await there.settled()
    assert (await anna.patch(ACCOUNT, json={"name": "Anna  B."})).status_code == 200
    assert (await list_kinds(records)).count("profile_changed") == 1
    assert "Anna" not in str(await records.rows("SELECT * FROM audit_events"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "x" * 50_000}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "Anna", "email": BOB}, "email"),
        ({"name": "Anna", "hasPassword": False}, "hasPassword"),
    ],
)
async def test_a_name_that_does_not_fit_names_its_field(
    anna: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await anna.patch(ACCOUNT, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [item["field"] for item in answer.json()["details"]] == [field]


async def test_half_a_character_is_refused_and_an_empty_name_is_none(anna: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    assert (await anna.patch(ACCOUNT, content=b'{"name": "\\ud800"}', headers=headers)).status_code == 422
    assert (await anna.patch(ACCOUNT, content=b'{"name": ', headers=headers)).json()["code"] == "bad_json"
    assert (await anna.patch(ACCOUNT, json={"name": ""})).json()["name"] == ""


async def test_sessions_are_listed_as_people_know_them(product: ServedProduct, anna: httpx.AsyncClient) -> None:
    firefox = await sign_in(product)
    script = await sign_in(product, "price-sync/2.0")
    silent = await sign_in(product, "")
    sessions = await list_sessions(firefox)
    assert [one["current"] for one in sessions] == [True, False, False, False]
    assert set(sessions[0]) == {"id", "device", "address", "method", "createdAt", "lastSeenAt", "current"}
    assert (sessions[0]["device"], sessions[0]["address"]) == ("Firefox on Linux", "127.0.0.1")
    assert sessions[0]["method"] == "password"
    assert {"A program (price-sync)", "unknown"} < {one["device"] for one in sessions}
    for client in (anna, script, silent):
        assert (await list_sessions(client))[0]["current"] is True
        assert client.cookies[COOKIE] not in (await firefox.get(SESSIONS)).text


async def test_a_strangers_sessions_are_not_there(
    product: ServedProduct, anna: httpx.AsyncClient, records: Records
) -> None:
    bob = await product.sign_up(BOB)
    of_anna = await own_id(anna)
    assert of_anna not in (await bob.get(SESSIONS)).text
    answer = await bob.delete(f"{SESSIONS}/{of_anna}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await bob.delete(SESSIONS)).json() == {"ended": 0}
    assert await is_signed_in(anna)
    assert "sessions_ended" not in await list_kinds(records)


@pytest.mark.parametrize("wanted", ["x", "%00", "%ff", "1" * 5000, str(uuid4()), "{" + str(uuid4()) + "}"])
async def test_a_session_that_never_was_is_404(anna: httpx.AsyncClient, wanted: str) -> None:
    assert (await anna.delete(f"{SESSIONS}/{wanted}")).status_code == 404


async def test_one_that_is_ended_dies_at_the_next_request_in_every_process(serve: Serve, records: Records) -> None:
    here, there = await serve(), await serve()
    anna = await here.sign_up(ANNA)
    other = await sign_in(there)
    same_here = await here.client()
    same_here.cookies = other.cookies
    assert await is_signed_in(other)
    assert await is_signed_in(same_here)
    wanted = await own_id(other)
    assert (await anna.delete(f"{SESSIONS}/{wanted}")).status_code == 204
    assert not await is_signed_in(same_here)
    await wait_until_out(there, other)
    assert (await other.get("/api/connections")).json()["code"] == "unauthenticated"
    assert (await anna.delete(f"{SESSIONS}/{wanted}")).status_code == 404
    assert await is_signed_in(anna)
    assert [one["current"] for one in await list_sessions(anna)] == [True]
    (event,) = await records.rows("SELECT details FROM audit_events WHERE kind = 'session_ended'")
    assert event["details"] == {"session": wanted}


async def test_all_others_end_everywhere_and_this_one_stays(serve: Serve, records: Records) -> None:
    here, there = await serve(), await serve()
    anna = await here.sign_up(ANNA)
    others = [await sign_in(here), await sign_in(there), await sign_in(there)]
    for other in others:
        assert await is_signed_in(other)
    assert (await anna.delete(SESSIONS)).json() == {"ended": 3}
    assert not await is_signed_in(others[0])
    for other in others[1:]:
        await wait_until_out(there, other)
    assert await is_signed_in(anna)
    assert (await anna.delete(SESSIONS)).json() == {"ended": 0}
    (event,) = await records.rows("SELECT details FROM audit_events WHERE kind = 'sessions_ended'")
    assert event["details"] == {"count": 3}


async def test_ending_the_own_session_signs_out(product: ServedProduct, anna: httpx.AsyncClient) -> None:
    token = anna.cookies[COOKIE]
    answer = await anna.delete(f"{SESSIONS}/{await own_id(anna)}")
    assert answer.status_code == 204
    assert COOKIE not in anna.cookies
    copy = await product.client()
    assert (await copy.get(SESSIONS, headers={"cookie": f"{COOKIE}={token}"})).status_code == 401


async def test_two_who_end_the_same_session_at_once_end_it_once(product: ServedProduct, records: Records) -> None:
    anna = await product.sign_up(ANNA)
    wanted = await own_id(await sign_in(product))
    answers = await asyncio.gather(*(anna.delete(f"{SESSIONS}/{wanted}") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404, 404]
    assert (await list_kinds(records)).count("session_ended") == 1


async def test_ending_asks_for_no_fresh_sign_in(
    product: ServedProduct, anna: httpx.AsyncClient, records: Records
) -> None:
    wanted = await own_id(await sign_in(product))
    await records.age_signin(ANNA)
    assert (await anna.delete(f"{SESSIONS}/{wanted}")).status_code == 204
    assert (await anna.delete(SESSIONS)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ACCOUNT),
        ("PATCH", ACCOUNT),
        ("GET", SESSIONS),
        ("DELETE", SESSIONS),
        ("DELETE", f"{SESSIONS}/{uuid4()}"),
        ("POST", "/api/account/reauth"),
    ],
)
async def test_signed_out_and_half_signed_in_callers_reach_nothing(
    product: ServedProduct, timed: ServedProduct, anna_protected: Protected, method: str, path: str
) -> None:
    body = {"name": "x"} if method == "PATCH" else {"password": PASSWORD} if method == "POST" else None
    refused = await (await product.client()).request(method, path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    half = await (await anna_protected.sign_in(timed)).request(method, path, json=body)
    assert (half.status_code, half.json()["code"]) == (401, "mfa_required")
    agent = await anna_protected.person.request(method, path, json=body, headers={"authorization": "Bearer bwa_x"})
    assert agent.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", ACCOUNT), ("DELETE", SESSIONS), ("POST", "/api/account/reauth")]
)
async def test_another_origin_changes_nothing(anna: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await anna.request(method, path, json={"name": "x"}, headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def find_person(product: ServedProduct, client: httpx.AsyncClient) -> Person:
    cookie = f"{COOKIE}={client.cookies[COOKIE]}".encode()
    person = await product.registry.get(SignInSessions).find_signed_in({"headers": [(b"cookie", cookie)]})
    assert person is not None
    return person


async def hold_back(client: httpx.AsyncClient, path: str, body: bytes, release: asyncio.Event) -> httpx.Response:
    """A request whose body comes when it is released, long after its cookie was looked at."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        await release.wait()
        yield body[1:]

    return await client.post(
        path, content=pieces(), headers={"content-type": "application/x-www-form-urlencoded"}, timeout=30
    )


@pytest.mark.parametrize(
    ("path", "body", "left_behind"),
    [
        ("/settings/account/name", b"name=Mallory", "SELECT count(*) AS n FROM users WHERE name = 'Mallory'"),
        (
            "/settings/account/delete",
            b"confirm=anna%40example.com",
            "SELECT count(*) AS n FROM users WHERE deletion_due_at IS NOT NULL",
        ),
    ],
)
async def test_a_body_that_is_held_back_dies_with_its_session(
    product: ServedProduct, anna: httpx.AsyncClient, records: Records, path: str, body: bytes, left_behind: str
) -> None:
    thief, release = await sign_in(product), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        held = group.create_task(hold_back(thief, path, body, release))
        await list_sessions(anna)
        assert (await anna.delete(SESSIONS)).json() == {"ended": 1}
        release.set()
    assert (held.result().status_code, held.result().headers["location"][:8]) == (303, "/signin?")
    assert await records.value(left_behind) == 0


async def test_ending_the_others_never_deadlocks_with_one_that_changes_a_factor(
    product: ServedProduct, anna: httpx.AsyncClient, records: Records
) -> None:
    """A request that changes a factor locks the person, then their session, then wants the others'."""
    changing, ending = await sign_in(product), await sign_in(product)
    changer, ender = await find_person(product, changing), await find_person(product, ending)
    own, signins = product.registry.get(SessionList), product.registry.get(SignInSessions)
    database = product.registry.get(Database)

    async def end_others() -> int:
        async with database.unit_of_work() as session:
            return await own.end_others(session, ender, ClientInfo())

    async with asyncio.TaskGroup() as group, database.unit_of_work() as session:
        await lock_user(session, changer.id)
        await signins.renew(session, changer.signin_id)
        waiting = group.create_task(end_others())
        await wait_until(lambda: records.value(WAITING), "a statement to wait for the lock", seconds=TIMEOUT_SECONDS)
        assert await signins.end_all(session, changer.id, but=changer.signin_id) == 2
    assert waiting.result() == 1
