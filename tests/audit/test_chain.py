"""Whether tampering is noticed, and where."""

import pytest

from basewarden.audit import EventKind, verify_chain
from basewarden.audit import chain as audit_chain
from tests.audit.conftest import AuditDatabase
from tests.audit.test_audit import ADA, make_event

START = "00" * 32
# One is removed, and all after it are moved up and sealed again, except for their links.
CLOSE_THE_GAP = """
    DELETE FROM audit_events WHERE id = 3;
    UPDATE audit_events SET id = id - 1 WHERE id > 3;
    UPDATE audit_events AS e SET hash = audit_hash(e) WHERE id > 2
"""
# One is changed and sealed again: its own hash is right, the next one's link is not.
RESEAL = """
    UPDATE audit_events SET kind = 'signout' WHERE id = 3;
    UPDATE audit_events AS e SET hash = audit_hash(e) WHERE id = 3
"""


async def fill(audit_db: AuditDatabase, count: int = 5) -> None:
    for number in range(1, count + 1):
        await audit_db.record(
            make_event(details={"name": f"phone {number}", "number": number, "method": 'pass»"word\\'})
        )


async def test_an_empty_chain_is_whole(audit_db: AuditDatabase) -> None:
    verdict = await verify_chain(audit_db.database)
    assert (verdict.count, verdict.head, verdict.broken, verdict.has_noted) == (0, START, None, None)
    assert verdict.list_sentences() == [f"0 events in an unbroken chain. Head: {START}"]


async def test_the_check_reads_batches_and_reports_its_progress(
    audit_db: AuditDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "BATCH_ROWS", 2)
    await fill(audit_db)
    seen: list[int] = []
    verdict = await verify_chain(audit_db.database, seen.append)
    assert (verdict.count, verdict.is_good, seen) == (5, True, [2, 4, 5])
    assert verdict.head == (await audit_db.rows())[-1]["hash"].hex()


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit_events SET kind = 'signout' WHERE id = 3", 3, "it was changed"),
        ("UPDATE audit_events SET at = at + interval '1 microsecond' WHERE id = 3", 3, "it was changed"),
        ("UPDATE audit_events SET at = 'infinity' WHERE id = 3", 3, "it was changed"),
        ("UPDATE audit_events SET subject = gen_random_uuid() WHERE id = 3", 3, "it was changed"),
        ("UPDATE audit_events SET details = details || '{\"number\": 9}' WHERE id = 1", 1, "it was changed"),
        ("UPDATE audit_events SET place_digest = sha256('') WHERE id = 3", 3, "it was changed"),
        ("UPDATE audit_events SET hash = sha256('') WHERE id = 5", 5, "it was changed"),
        ("UPDATE audit_events SET address = '198.51.100.1' WHERE id = 3", 3, "was changed"),
        ("UPDATE audit_events SET client = NULL WHERE id = 3", 3, "was changed"),
        ("UPDATE audit_events SET name = 'another' WHERE id = 3", 3, "was changed"),
        ("UPDATE audit_events SET salt = NULL WHERE id = 3", 3, "put in after it was erased"),
        ("DELETE FROM audit_events WHERE id = 3", 4, "event 3 is missing"),
        ("DELETE FROM audit_events WHERE id = 1", 2, "event 1 is missing"),
        ("UPDATE audit_events SET id = id + 10 WHERE id = 5", 15, "event 5 is missing"),
        ("UPDATE audit_events SET id = -1 WHERE id = 5", -1, "event 1 is missing"),
        (
            CLOSE_THE_GAP,
            3,
            "it does not follow the event before it",
        ),
        (
            RESEAL,
            4,
            "it does not follow the event before it",
        ),
    ],
)
async def test_what_was_forged_is_found(audit_db: AuditDatabase, statement: str, broken_at: int, reason: str) -> None:
    await fill(audit_db)
    assert (await verify_chain(audit_db.database)).is_good
    await audit_db.forge(statement)
    verdict = await verify_chain(audit_db.database)
    assert verdict.broken is not None
    assert (verdict.broken.id, verdict.is_good) == (broken_at, False)
    assert verdict.broken.reason.endswith(reason)
    assert verdict.list_sentences()[1] == f"Broken at event {broken_at}: {verdict.broken.reason}."


async def test_a_tail_that_was_cut_off_is_known_by_a_noted_head(audit_db: AuditDatabase) -> None:
    await fill(audit_db)
    noted = (await verify_chain(audit_db.database)).head
    await audit_db.forge("DELETE FROM audit_events WHERE id > 3")
    await fill(audit_db, 4)
    assert (await verify_chain(audit_db.database)).is_good  # by itself it says nothing
    verdict = await verify_chain(audit_db.database, noted_head=noted)
    assert (verdict.has_noted, verdict.broken, verdict.is_good) == (False, None, False)
    assert "is not in the chain" in verdict.list_sentences()[-1]


async def test_a_rewritten_chain_does_not_match_a_noted_head(audit_db: AuditDatabase) -> None:
    await fill(audit_db)
    noted = (await verify_chain(audit_db.database)).head
    await audit_db.forge("DELETE FROM audit_events")
    await fill(audit_db)
    assert (await verify_chain(audit_db.database)).is_good
    assert not (await verify_chain(audit_db.database, noted_head=noted)).is_good


async def test_a_noted_head_stays_good_while_the_chain_grows(audit_db: AuditDatabase) -> None:
    await fill(audit_db)
    noted = (await verify_chain(audit_db.database)).head
    await fill(audit_db)
    for head in (noted, f" {noted.upper()}\n", START):
        assert (await verify_chain(audit_db.database, noted_head=head)).is_good
    for head in ("", "not a hash", "ff" * 32):
        assert (await verify_chain(audit_db.database, noted_head=head)).has_noted is False


async def test_the_check_does_not_trust_the_databases_own_function(audit_db: AuditDatabase) -> None:
    await fill(audit_db)
    await audit_db.admin.execute(
        "CREATE OR REPLACE FUNCTION audit_hash(event audit_events) RETURNS bytea LANGUAGE sql STABLE"
        " AS $$ SELECT sha256(convert_to(event.id::text, 'UTF8')) $$"
    )
    await audit_db.record(make_event(EventKind.SIGNOUT))
    verdict = await verify_chain(audit_db.database)
    assert verdict.broken is not None
    assert verdict.broken.id == 6


async def test_sql_and_python_seal_alike_whatever_the_session_is_set_to(audit_db: AuditDatabase) -> None:
    for setting in (
        "TimeZone = 'Asia/Kolkata'",
        "DateStyle = 'German'",
        "bytea_output = 'escape'",
        "extra_float_digits = -15",
    ):
        await audit_db.admin.execute(f"SET {setting}".encode())
        await audit_db.admin.execute(
            "INSERT INTO audit_events (subject, kind, details, address, client, name)"
            """ VALUES (gen_random_uuid(), 'signin', '{"é\\n": [1.10, "\\u20ac"], "b": 1e3}', '::1', 'ü ''', 'Ωmega')"""
        )
    verdict = await verify_chain(audit_db.database)
    assert (verdict.count, verdict.broken) == (4, None)


async def test_erasing_does_not_hide_a_change(audit_db: AuditDatabase) -> None:
    await fill(audit_db)
    await audit_db.forge("UPDATE audit_events SET place_digest = sha256('forged') WHERE id = 2")
    async with audit_db.database.unit_of_work() as unit:
        await audit_db.audit.erase_person(unit, ADA)
    verdict = await verify_chain(audit_db.database)
    assert verdict.broken is not None
    assert verdict.broken.id == 2
