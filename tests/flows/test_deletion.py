"""Leaving for good: thirty days to think again, nothing left without an owner, and no trace of who it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from basewarden.accounts import Deletions
from basewarden.accounts.data.deletion import DELETE_DUE
from basewarden.audit import verify_chain
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.jobs import Jobs
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records

DELETE, CANCEL = "/api/account/delete", "/api/account/delete/cancel"
DATA_PAGE, DELETE_PAGE = "/settings/account/data", "/settings/account/delete"
ADA, BOB = "ada.lovelace@example.com", "bob@example.com"
NAME = "Countess Lovelace"
MAIL = {"smtp_url": Secret("smtp://127.0.0.1:1"), "email_from": "basewarden@example.com"}


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def ada(product: ServedProduct) -> httpx.AsyncClient:
    return await product.sign_up(ADA)


@pytest.fixture
async def bob(product: ServedProduct) -> httpx.AsyncClient:
    return await product.sign_up(BOB)


async def make_due(records: Records, *emails: str) -> None:
    await records.run("UPDATE users SET deletion_due_at = now() - interval '1 second' WHERE email = ANY(%s)", [*emails])


async def delete_due(product: ServedProduct, batch: int = 100) -> dict[str, int]:
    return await product.registry.get(Deletions).delete_due(batch)


async def list_emails(records: Records) -> set[str]:
    return {row["email"] for row in await records.rows("SELECT email FROM users")}


async def list_kinds(records: Records, email: str) -> list[str]:
    rows = await records.rows(
        "SELECT kind FROM audit_events AS e JOIN users AS u ON u.audit_id = e.subject"
        " WHERE u.email = %s AND kind LIKE 'deletion%%' ORDER BY e.id",
        email,
    )
    return [row["kind"] for row in rows]


async def find_traces(records: Records, *words: str) -> list[str]:
    """Every place of our database where one of the words stands, whatever the column's type."""
    columns = await records.rows(
        "SELECT c.table_name AS t, c.column_name AS c FROM information_schema.columns AS c"
        " JOIN information_schema.tables AS t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        " AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'uuid')"
    )
    assert len(columns) > 50
    traces = []
    for column in columns:
        query = f'SELECT 1 FROM "{column["t"]}" WHERE "{column["c"]}"::text ILIKE ANY(%s) LIMIT 1'
        if await records.rows(query, [f"%{word}%" for word in words]):
            traces.append(f"{column['t']}.{column['c']}")
    return sorted(traces)


async def test_it_is_thirty_days_away(ada: httpx.AsyncClient, records: Records) -> None:
    answer = await ada.post(DELETE)
    assert answer.status_code == 200, answer.text
    due = datetime.fromisoformat(answer.json()["deletionDueAt"])
    assert abs(due - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert await list_kinds(records, ADA) == ["deletion_scheduled"]
    assert (await ada.get("/api/connections")).status_code == 200


async def test_asked_again_the_day_stays(ada: httpx.AsyncClient, records: Records) -> None:
    first, *others = await asyncio.gather(*(ada.post(DELETE, json={}) for _ in range(4)))
    await records.run("UPDATE users SET deletion_due_at = deletion_due_at - interval '10 days'")
    earlier = (await ada.post(DELETE)).json()["deletionDueAt"]
    assert {answer.json()["deletionDueAt"] for answer in others} == {first.json()["deletionDueAt"]}
    assert datetime.fromisoformat(earlier) < datetime.fromisoformat(first.json()["deletionDueAt"])
    assert await list_kinds(records, ADA) == ["deletion_scheduled"]


async def test_other_signins_end(product: ServedProduct, serve: Serve, ada: httpx.AsyncClient) -> None:
    second = await serve()
    elsewhere = await second.client()
    signed_in = await elsewhere.post("/api/auth/signin", json={"email": ADA, "password": PASSWORD})
    assert signed_in.status_code == 200
    assert (await elsewhere.get("/api/connections")).status_code == 200
    assert (await ada.post(DELETE)).status_code == 200
    await product.settled()
    assert (await elsewhere.get("/api/connections")).status_code == 401
    assert (await ada.get("/api/connections")).status_code == 200


async def test_who_may(product: ServedProduct, client: httpx.AsyncClient, records: Records) -> None:
    assert (await client.post(DELETE)).status_code == 401
    assert (await client.post(CANCEL)).status_code == 401
    ada = await product.sign_up(ADA)
    assert (await ada.post(DELETE, headers={"origin": "https://elsewhere.example"})).status_code == 403
    await records.age_signin(ADA)
    answer = await ada.post(DELETE)
    assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")
    assert await list_kinds(records, ADA) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"password": "not the right one at all"}, 400, "bad_password"),
        ({"password": 7}, 422, "validation_failed"),
        ({"password": "half \ud800 of a character"}, 422, "validation_failed"),
        ({"password": "x" * 50_000}, 422, "validation_failed"),
        ({"sure": True}, 422, "validation_failed"),
        ([], 422, "validation_failed"),
    ],
)
async def test_a_bad_body_deletes_nothing(
    ada: httpx.AsyncClient, records: Records, body: Any, status: int, code: str
) -> None:
    sent = json.dumps(body)
    answer = await ada.post(DELETE, content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await list_kinds(records, ADA) == (["deletion_failed"] if code == "bad_password" else [])


async def test_a_password_that_is_sent_must_be_right(ada: httpx.AsyncClient, records: Records) -> None:
    broken = await ada.post(DELETE, content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "bad_json")
    for _ in range(10):
        assert (await ada.post(DELETE, json={"password": "a wrong one"})).status_code == 400
    assert (await ada.post(DELETE, json={"password": PASSWORD})).status_code == 429
    await records.run("DELETE FROM attempt_counters")
    assert (await ada.post(DELETE, json={"password": PASSWORD})).status_code == 200


async def test_an_account_without_a_password_has_none_to_send(ada: httpx.AsyncClient, records: Records) -> None:
    await records.run("UPDATE users SET password_hash = NULL")
    answer = await ada.post(DELETE, json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "oauth_only")
    assert (await ada.post(DELETE)).status_code == 200


async def test_nothing_is_left_without_an_owner(
    ada: httpx.AsyncClient, bob: httpx.AsyncClient, records: Records
) -> None:
    ada_id, bob_id = await records.person_id(ADA), await records.person_id(BOB)
    alone = await records.add_connection("Alone", ada_id)
    shared = await records.add_connection("Shared", ada_id)
    await records.add_member(alone, bob_id, "editor")
    await records.add_member(shared, bob_id, "owner")
    answer = await ada.post(DELETE)
    assert (answer.status_code, answer.json()["code"]) == (409, "sole_owner")
    assert answer.json()["details"] == [{"id": str(alone), "name": "Alone"}]
    await records.run("UPDATE connection_members SET role = 'owner'")
    assert (await ada.post(DELETE)).status_code == 200


async def test_it_can_be_called_off(ada: httpx.AsyncClient, records: Records) -> None:
    assert (await ada.post(CANCEL)).json() == {"deletionDueAt": None}
    assert await list_kinds(records, ADA) == []
    assert (await ada.post(DELETE)).status_code == 200
    answers = await asyncio.gather(*(ada.post(CANCEL) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert await list_kinds(records, ADA) == ["deletion_scheduled", "deletion_cancelled"]
    assert await records.rows("SELECT 1 FROM users WHERE deletion_due_at IS NOT NULL") == []


async def test_calling_off_needs_no_fresh_signin(product: ServedProduct, records: Records) -> None:
    ada = await product.sign_up(ADA)
    await records.age_signin(ADA)
    assert (await ada.post(CANCEL)).status_code == 200


async def test_emails_announce_it(serve: Serve, records: Records) -> None:
    product = await serve(MAIL)
    ada = await product.sign_up(ADA)
    for call in (DELETE, DELETE, CANCEL, CANCEL):
        assert (await ada.post(call)).status_code == 200
    emails = await records.rows("SELECT kind, address FROM letters WHERE kind LIKE 'deletion%%' ORDER BY id")
    assert emails == [
        {"kind": "deletion_scheduled", "address": ADA},
        {"kind": "deletion_cancelled", "address": ADA},
    ]


async def test_no_account_is_deleted_before_its_day(
    product: ServedProduct, ada: httpx.AsyncClient, records: Records
) -> None:
    assert (await ada.post(DELETE)).status_code == 200
    assert await delete_due(product) == {}
    assert await list_emails(records) == {ADA}


async def test_no_trace_is_left(serve: Serve, records: Records) -> None:
    """Of who it was. What they changed stays the project's, in its rows' own words."""
    product = await serve(MAIL)
    ada, bob = await product.sign_up(ADA), await product.sign_up(BOB)
    ada_id, bob_id = await records.person_id(ADA), await records.person_id(BOB)
    audit_id = await records.value("SELECT audit_id FROM users WHERE id = %s", ada_id)
    shared = await records.add_connection("Shared", ada_id)
    await records.add_member(shared, bob_id, "owner")
    await records.add_agent("robot", shared, ada_id)
    await records.add_account_rows(NAME, ada_id)
    session_id = await records.add_session(NAME, shared, person_id=ada_id)
    await records.run("UPDATE journal_writes SET summary = 'PATCH /notes'")
    await records.run(
        "UPDATE journal_mutations SET before = '{}', after = '{}', before_exact = '{}', after_exact = '{}'"
    )
    await records.insert("letters", id=UUID(int=1), user_id=bob_id, kind="email_taken", address=ADA)
    other = await records.add_connection("Other", bob_id)
    await records.add_invitation(ADA, other, bob_id)
    await records.add_invitation("guest@example.com", shared, ada_id)
    await records.run("UPDATE connections SET facts = %s", Jsonb({"login_role": "x", "server_version": "18"}))
    assert (await ada.get("/api/account/export")).status_code == 200
    assert (await ada.post(DELETE)).status_code == 200
    assert len(await find_traces(records, ADA, NAME)) > 8
    await make_due(records, ADA)
    counts = await delete_due(product)
    assert counts["users"] == counts["connection_members"] == counts["journal_sessions"] == 1
    assert counts["letters"] > 3
    assert counts["connection_invitations"] == 2
    assert await find_traces(records, ADA, NAME, "203.0.113.9") == []
    assert await find_traces(records, str(ada_id)) == [
        "journal_interventions.user_id",
        "journal_sessions.caller_key",
        "journal_sessions.user_id",
    ]
    assert await find_traces(records, str(audit_id)) == ["audit_events.subject"]
    (kept,) = await records.rows("SELECT caller_name, label FROM journal_sessions WHERE id = %s", session_id)
    assert kept == {"caller_name": "deleted person", "label": None}
    assert (await verify_chain(product.registry.get(Database))).broken is None
    assert (await ada.get("/api/connections")).status_code == 401
    assert (await bob.get(f"/api/connections/{shared}/sessions")).json()["sessions"][0]["caller"] == "deleted person"
    again = await ada.post("/api/auth/signin", json={"email": ADA, "password": PASSWORD})
    assert again.status_code == 401
    assert await delete_due(product) == {}


async def test_others_stay_as_they_were(
    product: ServedProduct, ada: httpx.AsyncClient, bob: httpx.AsyncClient, records: Records
) -> None:
    ada_id, bob_id = await records.person_id(ADA), await records.person_id(BOB)
    await records.add_account_rows("keep", bob_id)
    kept = await records.add_connection("keep", bob_id)
    await records.add_member(kept, ada_id, "editor")
    await records.add_session("keep", kept, person_id=bob_id)
    await records.run("UPDATE users SET email = 'keep@example.com' WHERE id = %s", bob_id)
    before = await find_traces(records, "keep")
    await make_due(records, ADA)
    await delete_due(product)
    assert await find_traces(records, "keep") == before
    assert (await bob.get(f"/api/connections/{kept}")).status_code == 200


async def test_the_deleted_are_out_of_every_process_at_once(
    product: ServedProduct, serve: Serve, ada: httpx.AsyncClient, records: Records
) -> None:
    second = await serve()
    elsewhere = await second.client()
    elsewhere.cookies.update(ada.cookies)
    assert (await elsewhere.get("/api/connections")).status_code == 200
    await make_due(records, ADA)
    await delete_due(product)
    await product.settled()
    assert (await elsewhere.get("/api/connections")).status_code == 401
    assert (await ada.get("/api/connections")).status_code == 401


async def test_who_became_the_only_owner_is_not_deleted_yet(serve: Serve, records: Records) -> None:
    product = await serve(MAIL)
    ada = await product.sign_up(ADA)
    await records.add_connection("Alone", await records.person_id(ADA))
    await make_due(records, ADA)
    assert await delete_due(product) == {}
    (left,) = await records.rows("SELECT deletion_due_at - now() AS left FROM users")
    assert timedelta(days=6) < left["left"] <= timedelta(days=7)
    assert await records.value("SELECT count(*) FROM letters WHERE kind = 'deletion_postponed'") == 1
    assert (await ada.get("/api/connections")).status_code == 200


async def test_two_owners_who_leave_at_once_do_not_both_go(
    product: ServedProduct, serve: Serve, ada: httpx.AsyncClient, bob: httpx.AsyncClient, records: Records
) -> None:
    shared = await records.add_connection("Shared", await records.person_id(ADA))
    await records.add_member(shared, await records.person_id(BOB), "owner")
    await make_due(records, ADA, BOB)
    second = await serve()
    await asyncio.gather(delete_due(product), delete_due(second), delete_due(product), delete_due(second))
    assert len(await list_emails(records)) == 1
    assert await records.value("SELECT count(*) FROM connection_members WHERE connection_id = %s", shared) == 1


async def test_many_are_deleted_once_each_in_bounded_batches(
    product: ServedProduct, serve: Serve, records: Records
) -> None:
    for number in range(30):
        await records.run(
            "INSERT INTO users (id, email, email_key, deletion_due_at) VALUES (gen_random_uuid(), %s, %s, now())",
            *[f"p{number}@example.com"] * 2,
        )
    assert (await delete_due(product, batch=4)).get("users", 0) <= 4  # the hourly job may be at it as well
    second = await serve()
    await asyncio.gather(*(delete_due(one) for one in (product, second) * 2))
    assert await list_emails(records) == set()
    events = await records.rows("SELECT DISTINCT subject FROM audit_events WHERE kind = 'account_deleted'")
    assert len(events) == await records.value("SELECT count(*) FROM audit_events WHERE kind = 'account_deleted'") == 30


async def test_one_that_is_cut_off_leaves_everything_as_it_was(
    product: ServedProduct, ada: httpx.AsyncClient, bob: httpx.AsyncClient, records: Records
) -> None:
    ada_id = await records.person_id(ADA)
    shared = await records.add_connection("Shared", ada_id)
    await records.add_member(shared, await records.person_id(BOB), "owner")
    await records.add_account_rows(NAME, ada_id)
    await records.add_session(NAME, shared, person_id=ada_id)
    before = await find_traces(records, ADA, NAME)
    await records.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not now'; END$$;"
        "CREATE TRIGGER refuse BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    await make_due(records, ADA)
    with pytest.raises(Exception, match="not now"):
        await delete_due(product)
    assert await find_traces(records, ADA, NAME) == before
    assert (await ada.get(f"/api/connections/{shared}")).status_code == 200
    await records.run("DROP TRIGGER refuse ON users")
    assert (await delete_due(product))["users"] == 1


async def test_the_hourly_job_does_it(product: ServedProduct, ada: httpx.AsyncClient, records: Records) -> None:
    await make_due(records, ADA)
    async with product.registry.get(Database).unit_of_work() as session:
        await product.registry.get(Jobs).enqueue(session, DELETE_DUE)
    await wait_until(
        lambda: list_emails(records), "the accounts to be deleted", matches=lambda found: not found, seconds=10
    )
    assert (await ada.get("/api/connections")).status_code == 401


async def test_the_page_says_what_it_touches_and_asks_for_the_address(ada: httpx.AsyncClient, records: Records) -> None:
    page = await ada.get(DATA_PAGE)
    assert page.status_code == 200
    assert DELETE_PAGE in page.text
    assert f"{DATA_PAGE}/export" in page.text
    question = await ada.get(DELETE_PAGE)
    assert question.status_code == 200
    assert ">Can be undone</dt>" in question.text
    for typed in ("", "somebody@else.example", "\0", "x" * 50_000):
        refused = await ada.post(DELETE_PAGE, data={"confirm": typed})
        assert refused.status_code == 422
        assert "Type your email address" in refused.text
    assert await list_kinds(records, ADA) == []
    done = await ada.post(DELETE_PAGE, data={"confirm": f" {ADA.upper()} "})
    assert (done.status_code, done.headers["location"]) == (303, DATA_PAGE)
    assert await list_kinds(records, ADA) == ["deletion_scheduled"]


async def test_the_page_offers_the_way_back(ada: httpx.AsyncClient, records: Records) -> None:
    assert (await ada.post(DELETE)).status_code == 200
    page = await ada.get(DATA_PAGE)
    assert "Keep my account" in page.text
    assert "Delete account" not in page.text
    assert (await ada.get(DELETE_PAGE)).headers["location"] == DATA_PAGE
    kept = await ada.post(f"{DELETE_PAGE}/cancel")
    assert (kept.status_code, kept.headers["location"]) == (303, f"{DATA_PAGE}?done=kept")
    assert "The deletion was cancelled" in (await ada.get(kept.headers["location"])).text
    assert await records.rows("SELECT 1 FROM users WHERE deletion_due_at IS NOT NULL") == []


async def test_the_page_names_what_stands_in_the_way(ada: httpx.AsyncClient, records: Records) -> None:
    alone = await records.add_connection("<b>Alone</b>", await records.person_id(ADA))
    for page in (await ada.get(DATA_PAGE), await ada.get(DELETE_PAGE)):
        assert page.status_code == 200
        assert f'href="/c/{alone}/settings">&lt;b&gt;Alone&lt;/b&gt;</a>' in page.text
        assert 'name="confirm"' not in page.text
    refused = await ada.post(DELETE_PAGE, data={"confirm": ADA})
    assert refused.status_code == 409
    assert "&lt;b&gt;Alone&lt;/b&gt;" in refused.text


async def test_an_old_signin_is_confirmed_on_the_way(product: ServedProduct, records: Records) -> None:
    ada = await product.sign_up(ADA)
    await records.age_signin(ADA)
    assert (await ada.get(DATA_PAGE)).status_code == 200
    for answer, back_to in (
        (await ada.get(DELETE_PAGE), DELETE_PAGE),
        (await ada.post(DELETE_PAGE, data={"confirm": ADA}), DELETE_PAGE),
        (await ada.get(f"{DATA_PAGE}/export"), DATA_PAGE),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/settings/account/confirm?next={back_to}")
    assert await list_kinds(records, ADA) == []


async def test_strangers_go_to_sign_in(client: httpx.AsyncClient) -> None:
    for path in (DATA_PAGE, DELETE_PAGE, f"{DATA_PAGE}/export"):
        assert (await client.get(path)).headers["location"] == f"/signin?next={path}"
    for path in (DELETE_PAGE, f"{DELETE_PAGE}/cancel"):
        assert (await client.post(path)).status_code == 303
