"""Recording: what is stored, when, and that nothing waits for what it must not wait for."""

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from basewarden.audit import (
    AccountEvent,
    ClientInfo,
    EventKind,
    export_events,
    list_events,
    verify_chain,
)
from basewarden.audit import service as audit_service
from basewarden.core.logs import configure_logs
from basewarden.errors import Conflict, Unavailable
from tests.audit.conftest import AuditDatabase

ADA, BOB = UUID(int=1), UUID(int=2)
HOME = ClientInfo("203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
CHAIN_LOCK = 7022364301936325990


def make_event(
    kind: EventKind = EventKind.SIGNIN, subject: UUID = ADA, where: ClientInfo = HOME, **more: object
) -> AccountEvent:
    return AccountEvent(subject, kind, where, **more)  # type: ignore[arg-type]  # details, as the test says


async def test_an_event_is_stored_with_its_unit_and_not_before(audit_db: AuditDatabase) -> None:
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.record(unit, make_event(EventKind.SIGNUP))
        await audit_db.audit.record(unit, make_event(details={"name": "Ada's bot", "agent": BOB, "count": 3}))
        assert await unit.scalar(text("SELECT count(*) FROM audit_events")) == 0
    first, second = await audit_db.rows()
    assert (first["id"], first["kind"], second["id"], second["kind"]) == (1, "signup", 2, "signin")
    assert (second["subject"], second["address"], second["client"]) == (ADA, HOME.address, HOME.client)
    assert (second["name"], second["details"]) == ("Ada's bot", {"agent": str(BOB), "count": 3})
    assert second["prev_hash"] == first["hash"] != second["hash"]


async def test_a_unit_that_fails_leaves_no_event_and_no_gap(audit_db: AuditDatabase) -> None:
    await audit_db.record(make_event())
    with pytest.raises(Conflict):
        await audit_db.record_and_fail(make_event())
    async with audit_db.admin.transaction(force_rollback=True):  # one that had its number, and lost it
        await audit_db.admin.execute(
            "INSERT INTO audit_events (subject, kind, details) VALUES (gen_random_uuid(), 'x', '{}')"
        )
    await audit_db.record(make_event())
    assert [row["id"] for row in await audit_db.rows()] == [1, 2]
    assert (await verify_chain(audit_db.database)).is_good


async def test_fifty_at_once_make_one_chain(audit_db: AuditDatabase) -> None:
    async def act(number: int) -> None:
        event = make_event(subject=uuid4(), details={"number": number})
        if number % 5 == 0:
            await audit_db.audit.record_now(event)
            return
        async with audit_db.database.unit_of_work() as unit:
            await audit_db.audit.record(unit, event)
            if number % 7 == 0:
                raise Conflict

    answers = await asyncio.gather(*(act(number) for number in range(50)), return_exceptions=True)
    refused = [number for number in range(50) if number % 5 and number % 7 == 0]
    assert [number for number, answer in enumerate(answers) if answer is not None] == refused
    rows = await audit_db.rows()
    assert [row["id"] for row in rows] == list(range(1, 51 - len(refused)))
    assert {row["details"]["number"] for row in rows} == set(range(50)) - set(refused)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    verdict = await verify_chain(audit_db.database)
    assert (verdict.count, verdict.broken) == (50 - len(refused), None)


async def test_one_statement_may_add_several(audit_db: AuditDatabase) -> None:
    await audit_db.admin.execute(
        "INSERT INTO audit_events (subject, kind, details) SELECT gen_random_uuid(), 'signin', '{}' FROM generate_series(1, 5)"
    )
    assert (await verify_chain(audit_db.database)).count == 5
    assert (await verify_chain(audit_db.database)).is_good


async def test_what_the_database_fills_in_cannot_be_chosen(audit_db: AuditDatabase) -> None:
    await audit_db.record(make_event())
    await audit_db.admin.execute(
        "INSERT INTO audit_events (id, at, subject, kind, details, salt, place_digest, prev_hash, hash)"
        " VALUES (77, 'infinity', gen_random_uuid(), 'signin', '{}', 'a', 'a', 'a', 'a')"
    )
    verdict = await verify_chain(audit_db.database)
    assert (verdict.count, verdict.is_good) == (2, True)


async def test_a_refusal_is_recorded_while_its_own_request_has_a_pending_event(audit_db: AuditDatabase) -> None:
    """Both in one request, in either order: neither waits for the other."""
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.record(unit, make_event(EventKind.SIGNIN))
        await unit.execute(text("SELECT 1"))
        await audit_db.audit.record_now(make_event(EventKind.SIGNIN_FAILED))
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.record_now(make_event(EventKind.TWOFACTOR_FAILED))
        await audit_db.audit.record(unit, make_event(EventKind.SIGNIN))
    assert [row["kind"] for row in await audit_db.rows()] == ["signin_failed", "signin", "twofactor_failed", "signin"]


async def test_requests_that_want_a_row_and_the_chain_do_not_deadlock(audit_db: AuditDatabase) -> None:
    """Stored where it is recorded, the first would hold the chain and wait for the row that the second holds."""
    await audit_db.admin.execute("CREATE TABLE things (id int PRIMARY KEY, n int); INSERT INTO things VALUES (1, 0)")
    has_recorded, has_row = asyncio.Event(), asyncio.Event()

    async def record_then_touch() -> None:
        async with audit_db.database.unit_of_work() as unit:
            await audit_db.audit.record(unit, make_event())
            await unit.execute(text("SELECT 1"))
            has_recorded.set()
            await has_row.wait()
            await unit.execute(text("UPDATE things SET n = n + 1"))

    async def touch_then_record() -> None:
        async with audit_db.database.unit_of_work() as unit:
            await has_recorded.wait()
            await unit.execute(text("UPDATE things SET n = n + 1"))
            has_row.set()
            await audit_db.audit.record(unit, make_event())

    async with asyncio.timeout(20):
        await asyncio.gather(record_then_touch(), touch_then_record())
    assert (await verify_chain(audit_db.database)).count == 2
    assert await audit_db.rows("SELECT n FROM things") == [{"n": 2}]


async def test_a_busy_chain_fails_the_unit_but_never_a_refusal(
    audit_db: AuditDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_service, "_UNIT_TIMEOUT", "50ms")
    monkeypatch.setattr(audit_service, "_REFUSAL_TIMEOUT", "50ms")
    async with audit_db.admin.transaction():
        await audit_db.admin.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK,))
        with pytest.raises(Unavailable):
            await audit_db.record(make_event())
        with capture_logs() as lines:
            await audit_db.audit.record_now(make_event(EventKind.SIGNIN_FAILED))
    missed = [line for line in lines if line["event"] == "audit.missed"]
    assert [(line["kind"], line["subject"]) for line in missed] == [("signin_failed", str(ADA))]
    await audit_db.record(make_event())
    assert [row["id"] for row in await audit_db.rows()] == [1]


async def test_the_lock_timeout_is_the_recording_transactions_own(audit_db: AuditDatabase) -> None:
    await audit_db.record(make_event())
    async with audit_db.database.read_only() as session:
        assert await session.scalar(text("SHOW lock_timeout")) == "0"


async def test_the_head_is_logged_once_it_is_committed(audit_db: AuditDatabase) -> None:
    configure_logs("info")  # another test's server may have set a higher level
    with capture_logs() as lines:
        await audit_db.record(make_event())
        with pytest.raises(Conflict):
            await audit_db.record_and_fail(make_event())
    heads = [(line["id"], line["head"]) for line in lines if line["event"] == "audit.recorded"]
    assert heads == [(1, (await verify_chain(audit_db.database)).head)]


async def test_savepoints_neither_store_early_nor_record(audit_db: AuditDatabase) -> None:
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.record(unit, make_event())
        async with unit.begin_nested():
            await unit.execute(text("SELECT 1"))
        assert await unit.scalar(text("SELECT count(*) FROM audit_events")) == 0
        async with unit.begin_nested():
            with pytest.raises(RuntimeError, match="savepoints"):
                await audit_db.audit.record(unit, make_event())
    assert len(await audit_db.rows()) == 1


async def test_hostile_text_is_cut_and_flattened(audit_db: AuditDatabase) -> None:
    hostile = "x\x00y\nz\ud800\u202e" + "A" * 1_000_000
    await audit_db.record(
        AccountEvent(ADA, EventKind.SIGNIN, ClientInfo(hostile, hostile), {"name": hostile, "method": hostile})
    )
    await audit_db.record(AccountEvent(ADA, EventKind.SIGNIN, ClientInfo("", " \x00 "), {"name": "\n"}))
    first, second = await audit_db.rows()
    for value in (first["address"], first["client"], first["name"], first["details"]["method"]):
        assert value.startswith("x y z  AAA")
        assert len(value) == 200
    assert (second["address"], second["client"], second["name"]) == (None, None, None)
    assert (await verify_chain(audit_db.database)).is_good


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET kind = 'signout'",
        "UPDATE audit_events SET details = '{}', address = NULL, client = NULL, name = NULL, salt = NULL",
        "UPDATE audit_events SET address = NULL",
        "UPDATE audit_events SET address = '198.51.100.1', client = NULL, name = NULL, salt = NULL",
        "UPDATE audit_events SET hash = '\\x00'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "SET session_replication_role = replica; DELETE FROM audit_events",
    ],
)
async def test_nothing_but_erasure_changes_an_event(audit_db: AuditDatabase, statement: str) -> None:
    await audit_db.record(make_event(details={"name": "phone", "count": 2}))
    before = await audit_db.rows()
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="additions only"):
        await audit_db.admin.execute(statement.encode())
    assert await audit_db.rows() == before


async def test_erasure_cannot_carry_a_change_that_only_looks_equal(audit_db: AuditDatabase) -> None:
    """1 and 1.0 are equal to jsonb and not to a hash."""
    await audit_db.record(make_event(details={"count": 1}))
    await audit_db.admin.execute(
        """UPDATE audit_events SET details = '{"count": 1.0}', address = NULL, client = NULL, name = NULL, salt = NULL"""
    )
    assert (await verify_chain(audit_db.database)).is_good
    assert await audit_db.rows("SELECT details::text FROM audit_events") == [{"details": '{"count": 1}'}]


async def test_erasing_a_person_leaves_a_pseudonym_and_a_whole_chain(audit_db: AuditDatabase) -> None:
    for subject in (ADA, BOB, ADA):
        await audit_db.record(make_event(subject=subject, details={"login": "phone", "count": 1}))
    head = (await verify_chain(audit_db.database)).head
    async with audit_db.database.unit_of_work() as unit:
        assert await audit_db.audit.erase_person(unit, ADA) == 2
        assert await audit_db.audit.erase_person(unit, ADA) == 0
    first, bobs, _ = await audit_db.rows()
    personal = ("address", "client", "name", "salt")
    assert [first[column] for column in personal] == [None] * 4
    assert (first["subject"], first["kind"], first["details"]) == (ADA, "signin", {"count": 1})
    assert None not in [bobs[column] for column in personal]
    verdict = await verify_chain(audit_db.database, noted_head=head)
    assert (verdict.count, verdict.head, verdict.has_noted, verdict.is_good) == (3, head, True, True)


async def test_events_of_the_erasing_unit_itself_name_no_person(audit_db: AuditDatabase) -> None:
    named = {"name": "phone", "count": 1}
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.record(unit, make_event(details=named))
        await audit_db.audit.erase_person(unit, ADA)
        await audit_db.audit.record(unit, make_event(EventKind.ACCOUNT_DELETED, details=named))
        await audit_db.audit.record(unit, make_event(subject=BOB, details=named))
    adas, gone, bobs = [(row["address"], row["client"], row["name"], row["details"]) for row in await audit_db.rows()]
    assert adas == gone == (None, None, None, {"count": 1})
    assert bobs == (HOME.address, HOME.client, "phone", {"count": 1})
    assert (await verify_chain(audit_db.database)).is_good


async def test_a_person_sees_their_own_events_page_by_page(audit_db: AuditDatabase) -> None:
    for number in range(5):
        await audit_db.record(make_event(details={"number": number}), make_event(subject=BOB))
    async with audit_db.database.read_only() as session:
        page = await list_events(session, ADA, limit=3)
        rest = await list_events(session, ADA, before=page[-1].id, limit=3)
        assert await list_events(session, uuid4()) == []
    assert [event.details["number"] for event in page + rest] == [4, 3, 2, 1, 0]
    assert {event.subject for event in page + rest} == {ADA}


async def test_an_export_holds_all_of_one_person_and_no_hash(
    audit_db: AuditDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_service, "_EXPORT_ROWS", 2)
    for number in range(5):
        await audit_db.record(make_event(details={"number": number}), make_event(subject=BOB))
    async with audit_db.database.read_only() as session:
        exported = [event async for event in export_events(session, ADA)]
        assert [event async for event in export_events(session, uuid4())] == []
    assert [event["details"]["number"] for event in exported] == [0, 1, 2, 3, 4]
    assert set(exported[0]) == {"at", "kind", "words", "name", "address", "client", "details"}
    assert (exported[0]["address"], exported[0]["words"]) == (HOME.address, "Signed in")
