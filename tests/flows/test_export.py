"""One's own data as a file: whole, only one's own, of one moment, and cut off rather than wrong."""

import asyncio
import base64
import json
import re
import resource
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import Export
from basewarden.accounts.data.export import AT_ONCE_HERE, EXPORTS
from basewarden.accounts.data.routes import ExportResponse
from basewarden.core.secret import Secret
from basewarden.db import Database
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records

EXPORT = "/api/account/export"
MANY = 40_000
MEGABYTE = 1024 * 1024
MINE, THEIRS = "zebra", "walrus"
OWNER, OTHER = "owner@example.com", "other@example.com"


@dataclass(frozen=True)
class House:
    """`owner` and `other`, each with a connection where the other one is an editor."""

    owner: httpx.AsyncClient
    other: httpx.AsyncClient
    owner_id: UUID
    other_id: UUID
    own: UUID
    others: UUID


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def house(product: ServedProduct, records: Records) -> House:
    owner, other = await product.sign_up(OWNER), await product.sign_up(OTHER)
    owner_id, other_id = await records.person_id(OWNER), await records.person_id(OTHER)
    own = await records.add_connection(f"{MINE} shop", owner_id)
    others = await records.add_connection("their shop", other_id)
    await records.add_member(own, other_id, "editor")
    await records.add_member(others, owner_id, "editor")
    return House(owner, other, owner_id, other_id, own, others)


@asynccontextmanager
async def begin_export(client: httpx.AsyncClient) -> AsyncIterator[tuple[bytes, AsyncIterator[bytes]]]:
    """The first piece and the rest."""
    async with client.stream("GET", EXPORT) as answer:
        assert answer.status_code == 200, await answer.aread()
        pieces = answer.aiter_raw()
        yield await anext(pieces), pieces


def read_memory() -> int:
    """What this process, server and reader in one, holds right now, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def add_many_rows(records: Records, house: House, count: int = 6_000, width: int = 1000) -> UUID:
    """A session of an agent of the owner's with so much in it that no socket's buffers hold it."""
    agent_id = await records.add_agent("busy", house.own, house.owner_id)
    session_id = await records.add_session("busy", house.own, agent_id=agent_id)
    await records.run(
        "INSERT INTO journal_mutations (write_id, session_id, connection_id, position, schema_name, table_name, verb,"
        " cause, key_columns, row_key, before, after)"
        " SELECT m.write_id, m.session_id, m.connection_id, n, 'public', 'notes', 'update', 'request', '{id}',"
        " json_build_array(n::text)::text, json_build_object('id', n, 'body', repeat('o', %s)),"
        " json_build_object('id', n, 'body', repeat('n', %s))"
        " FROM journal_mutations AS m, generate_series(2, %s) AS n WHERE m.session_id = %s",
        width,
        width,
        count,
        session_id,
    )
    return session_id


async def test_the_file_is_an_attachment_of_json(owner: httpx.AsyncClient) -> None:
    answer = await owner.get(EXPORT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="basewarden-export-\d{4}-\d\d-\d\d\.json"', answer.headers["content-disposition"]
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.json()["profile"][0]["email"] == OWNER


async def test_every_part_is_there(product: ServedProduct, house: House, records: Records) -> None:
    await records.add_account_rows(MINE, house.owner_id)
    await records.add_billing_rows(MINE, house.owner_id)
    agent_id = await records.add_agent(MINE, house.own, house.owner_id)
    of_agent = await records.add_session(MINE, house.own, agent_id=agent_id)
    own_elsewhere = await records.add_session(MINE, house.others, person_id=house.owner_id)
    await records.add_alert(MINE, house.own, house.owner_id)
    await records.add_proposal(MINE, house.own, agent_id, house.owner_id)
    await records.add_finding(MINE, house.own, house.owner_id)
    await records.add_schema_version(MINE, house.own, house.owner_id)
    await records.add_invitation("guest@example.com", house.own, house.owner_id)
    file = (await house.owner.get(EXPORT)).json()
    parts = [part.name for part in product.registry.get(Export).parts]
    assert list(file) == ["format", "exportedAt", *parts, "leftOut"]
    assert [part for part in parts if not file[part]] == []
    assert {session["id"] for session in file["journalSessions"]} == {str(of_agent), str(own_elsewhere)}
    assert [membership["role"] for membership in file["memberships"]].count("owner") == 1
    assert {membership["connectionName"] for membership in file["memberships"]} == {f"{MINE} shop", "their shop"}
    assert [connection["name"] for connection in file["connections"]] == [f"{MINE} shop"]
    assert file["profile"][0]["name"] == MINE
    assert len(file["recoveryCodes"]) == 1
    assert MINE in {event["name"] for event in file["events"]}


async def test_images_stay_as_they_were_written(house: House, records: Records) -> None:
    await records.add_session(MINE, house.own, person_id=house.owner_id)
    answer = await house.owner.get(EXPORT)
    assert "12345678901234567890.123456789012345678901234567890" in answer.text
    (mutation,) = answer.json()["journalMutations"]
    assert mutation["after"] == {"id": 1, "body": f"{MINE} \0 after"}
    assert mutation["keyColumns"] == ["id"]


async def test_nothing_of_anybody_else_is_in_it(house: House, records: Records) -> None:
    await records.run("UPDATE users SET name = %s WHERE id = %s", f"{THEIRS} name", house.other_id)
    await records.add_account_rows(THEIRS, house.other_id)
    on_theirs = await records.add_agent(THEIRS, house.others, house.other_id)
    await records.add_session(THEIRS, house.others, agent_id=on_theirs)
    await records.add_session(THEIRS, house.others, person_id=house.other_id)
    await records.add_session(THEIRS, house.own, person_id=house.other_id)  # on the owner's own connection
    await records.add_session(MINE, house.others, person_id=house.owner_id)
    await records.add_alert(THEIRS, house.others, house.other_id)
    await records.add_alert(MINE, house.others, house.owner_id)
    await records.add_proposal(THEIRS, house.others, on_theirs, house.other_id)
    on_own = await records.add_agent(MINE, house.own, house.owner_id)
    await records.add_proposal(MINE, house.own, on_own, house.other_id, decided=THEIRS)
    await records.add_invitation(f"{THEIRS}@example.com", house.others, house.other_id)
    await records.insert(
        "letters", id=uuid4(), user_id=house.owner_id, kind="email_taken", address=f"{THEIRS}@example.com"
    )
    text = (await house.owner.get(EXPORT)).text
    assert THEIRS not in text
    assert OTHER not in text
    assert str(house.other_id) not in text
    assert "email_taken" not in text
    assert MINE in text
    assert THEIRS in (await house.other.get(EXPORT)).text


async def test_invitations_that_a_person_sent_and_got_are_theirs(house: House, records: Records) -> None:
    """One to an address that is not confirmed may be another person's."""
    await records.add_invitation("guest@example.com", house.own, house.owner_id)
    third = await records.add_connection("third shop", house.other_id)
    await records.add_invitation(OWNER, third, house.other_id)
    assert await list_invited(house) == ["guest@example.com"]
    await records.run("UPDATE users SET email_verified_at = now() WHERE id = %s", house.owner_id)
    assert await list_invited(house) == ["guest@example.com", OWNER]


async def list_invited(house: House) -> list[str]:
    return sorted(one["email"] for one in (await house.owner.get(EXPORT)).json()["invitations"])


async def test_what_they_did_is_theirs_only_where_they_are_a_member(house: House, records: Records) -> None:
    await records.add_session(MINE, house.others, person_id=house.owner_id)
    await records.add_alert(MINE, house.others, house.owner_id)
    file = (await house.owner.get(EXPORT)).json()
    assert (len(file["journalMutations"]), len(file["alerts"]), len(file["alertDeliveries"])) == (1, 1, 1)
    await records.run(
        "DELETE FROM connection_members WHERE connection_id = %s AND user_id = %s", house.others, house.owner_id
    )
    file = (await house.owner.get(EXPORT)).json()
    assert file["journalSessions"] == file["journalWrites"] == file["journalMutations"] == []
    assert file["alerts"] == file["alertDeliveries"] == []


async def test_an_editor_gets_no_agents_and_not_their_sessions(house: House, records: Records) -> None:
    agent_id = await records.add_agent("robot of the owner", house.own, house.owner_id)
    await records.add_session("robot of the owner", house.own, agent_id=agent_id)
    assert "robot of the owner" in (await house.owner.get(EXPORT)).text
    assert "robot of the owner" not in (await house.other.get(EXPORT)).text


async def test_no_secret_is_in_it(house: House, records: Records) -> None:
    """Not sealed, not hashed, not in the clear: whatever bytes our database holds of a person stay there."""
    await records.add_account_rows(MINE, house.owner_id)
    await records.add_agent(MINE, house.own, house.owner_id)
    await records.run("UPDATE users SET sealed_totp_pending = %s WHERE id = %s", b"sealed once more", house.owner_id)
    text = (await house.owner.get(EXPORT)).text
    assert MINE in text
    held = [value async for value in list_bytes(records)]
    assert len(held) > 8
    for value in held:
        for shown in (value.hex(), base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()):
            assert shown.rstrip("=") not in text
    for secret in (*house.owner.cookies.values(), "$argon2", f"hash of {MINE}", f"hint {MINE}", "sealed"):
        assert secret not in text.partition('"leftOut"')[0]


async def list_bytes(records: Records) -> AsyncIterator[bytes]:
    columns = await records.rows(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'bytea'"
    )
    for column in columns:
        rows = await records.rows(f"SELECT {column['c']} AS value FROM {column['t']} WHERE {column['c']} IS NOT NULL")
        for row in rows:
            yield bytes(row["value"])


async def test_who_may(product: ServedProduct, client: httpx.AsyncClient, records: Records) -> None:
    assert (await client.get(EXPORT)).status_code == 401
    owner = await product.sign_up(OWNER)
    assert (await owner.get(EXPORT, headers={"authorization": "Bearer something"})).status_code == 401
    assert (await owner.post(EXPORT)).status_code == 405


async def test_an_old_signin_is_not_enough(product: ServedProduct, records: Records) -> None:
    owner = await product.sign_up(OWNER)
    await records.age_signin(OWNER)
    answer = await owner.get(EXPORT)
    assert answer.status_code == 403
    assert answer.json()["code"] == "reauth_required"


async def test_the_page_hands_out_the_same_file(owner: httpx.AsyncClient) -> None:
    answer = await owner.get("/settings/account/data/export")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.json()["profile"][0]["email"] == OWNER


async def test_a_half_way_signin_is_not_enough(product: ServedProduct, records: Records) -> None:
    owner = await product.sign_up(OWNER)
    await records.run("UPDATE users SET sealed_totp_secret = %s WHERE email = %s", b"sealed", OWNER)
    answer = await owner.get(EXPORT)
    assert answer.status_code == 401
    assert answer.json()["code"] == "mfa_required"


async def test_it_is_noted_in_the_audit(house: House) -> None:
    assert (await house.owner.get(EXPORT)).status_code == 200
    events = (await house.owner.get(EXPORT)).json()["events"]
    assert [event["kind"] for event in events].count("data_exported") == 1
    assert events[-1]["address"] == "127.0.0.1"


async def test_an_email_announces_it(serve: Serve, records: Records) -> None:
    product = await serve({"smtp_url": Secret("smtp://127.0.0.1:1"), "email_from": "basewarden@example.com"})
    owner = await product.sign_up(OWNER)
    assert (await owner.get(EXPORT)).status_code == 200
    emails = await records.rows("SELECT address, user_id FROM letters WHERE kind = 'data_exported'")
    assert emails == [{"address": OWNER, "user_id": await records.person_id(OWNER)}]


async def test_it_is_of_one_moment(house: House, records: Records) -> None:
    session_id = await add_many_rows(records, house)
    async with begin_export(house.owner) as (first, rest):
        await records.run("UPDATE agents SET name = 'renamed meanwhile'")
        await records.run("UPDATE journal_sessions SET label = 'renamed meanwhile'")
        await records.run("DELETE FROM journal_mutations WHERE session_id = %s AND position > 10", session_id)
        text = first + b"".join([piece async for piece in rest])
    assert len(json.loads(text)["journalMutations"]) == 6_000
    assert b"renamed meanwhile" not in text
    assert len((await house.owner.get(EXPORT)).json()["journalMutations"]) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_it_streams_in_little_memory(house: House, records: Records) -> None:
    await add_many_rows(records, house, MANY, width=10)
    assert (await house.other.get(EXPORT)).status_code == 200  # what the first export loads is no growth
    before, highest, size = read_memory(), 0, 0
    async with begin_export(house.owner) as (first, rest):
        size += len(first)
        assert await records.list_exporting(house.owner_id), "all was read before the first byte went out"
        async for piece in rest:
            size += len(piece)
            highest = max(highest, read_memory())
    assert size > 12 * MEGABYTE
    assert highest - before < 8 * MEGABYTE


async def test_a_reader_who_leaves_frees_the_connection(product: ServedProduct, house: House, records: Records) -> None:
    await add_many_rows(records, house)
    async with begin_export(house.owner):
        assert len(await records.list_exporting(house.owner_id)) == 1
    await records.wait_until_not_exporting(house.owner_id)
    pool = product.registry.get(Database).engine.pool
    await wait_until(  # the lock ends on the server an instant before the connection is back
        lambda: pool.checkedout() == 0,  # type: ignore[attr-defined]  # a queue pool's
        "the connection to be back in the pool",
    )
    assert (await house.owner.get(EXPORT)).status_code == 200


async def test_a_failure_half_way_never_ends_as_valid_json(house: House, records: Records) -> None:
    await add_many_rows(records, house)
    got: list[bytes] = []

    async def read_on(rest: AsyncIterator[bytes]) -> None:
        async for piece in rest:
            got.append(piece)  # noqa: PERF401 - what came before the break is kept

    async with begin_export(house.owner) as (first, rest):
        got.append(first)
        (pid,) = await records.list_exporting(house.owner_id)
        await records.run("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(httpx.RemoteProtocolError):
            await read_on(rest)
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(got))
    assert (await house.owner.get(EXPORT)).status_code == 200


@pytest.mark.parametrize("limit", ["stall_seconds", "max_seconds"])
async def test_a_reader_who_takes_nothing_is_let_go(limit: str) -> None:
    """The server waits with `send` as long as the reader's buffers are full."""
    is_open = asyncio.Event()
    sent: list[dict[str, Any]] = []

    @asynccontextmanager
    async def open_file() -> AsyncIterator[AsyncGenerator[bytes, None]]:
        is_open.set()
        try:
            yield write()
        finally:
            is_open.clear()

    async def write() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"["

    async def receive() -> dict[str, Any]:
        return await asyncio.Future[dict[str, Any]]()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) > 3:
            await asyncio.Future[None]()

    async with asyncio.timeout(10):
        await ExportResponse(open_file(), **{limit: 0.05})({}, receive, send)
    assert not is_open.is_set()
    assert all(message.get("more_body", True) for message in sent)


async def test_two_at_once_and_no_more_over_all_processes(
    serve: Serve, house: House, records: Records, product: ServedProduct
) -> None:
    await add_many_rows(records, house)
    second = await serve()
    elsewhere = await second.client()
    elsewhere.cookies.update(house.owner.cookies)
    async with begin_export(house.owner), begin_export(elsewhere):
        for client in (house.owner, elsewhere):
            answer = await client.get(EXPORT)
            assert answer.status_code == 429
            assert answer.json()["code"] == "rate_limited"
            assert int(answer.headers["retry-after"]) > 0
        assert (await house.other.get(EXPORT)).status_code == 200
    await records.wait_until_not_exporting(house.owner_id)
    assert (await house.owner.get(EXPORT)).status_code == 200


async def test_a_process_keeps_connections_for_the_others(
    product: ServedProduct, house: House, records: Records
) -> None:
    """A third person finds the places of this process taken."""
    await add_many_rows(records, house)
    third = await product.sign_up("third@example.com")
    await records.add_member(house.own, await records.person_id("third@example.com"), "owner")
    await records.run("UPDATE connection_members SET role = 'owner'")
    assert AT_ONCE_HERE == 4
    async with (
        begin_export(house.owner),
        begin_export(house.owner),
        begin_export(house.other),
        begin_export(house.other),
    ):
        assert (await third.get(EXPORT)).status_code == 429
    for person_id in (house.owner_id, house.other_id):
        await records.wait_until_not_exporting(person_id)
    assert (await third.get(EXPORT)).status_code == 200


async def test_an_hour_has_an_end(owner: httpx.AsyncClient) -> None:
    statuses = [(await owner.get(EXPORT)).status_code for _ in range(EXPORTS.count + 1)]
    assert statuses == [200] * EXPORTS.count + [429]
