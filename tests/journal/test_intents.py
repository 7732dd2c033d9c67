"""Intents: stored before a request goes out, finished when its answer has come, and never lost in between."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from basewarden.core.ids import make_id
from basewarden.journal import (
    Image,
    IntentOutcome,
    Reconciler,
    Recorded,
    RowChange,
    SessionFrozen,
    UncapturedChanges,
    WriteEntry,
)
from tests.fixtures.journal import JournalDatabase, make_row
from tests.fixtures.waiting import wait_until

_ROWS = "SELECT position, verb, row_key, before::text AS before, after::text AS after FROM journal_mutations ORDER BY 1"
_WRITES = "SELECT state, xid, mutation_count, tables, unseen, settled_at IS NOT NULL AS settled FROM journal_writes"


def make_intent(journal_db: JournalDatabase, *ids: int, **changes: Any) -> WriteEntry:
    rows = tuple(RowChange("public", "t", "update", ("id",), make_image(one), None) for one in ids)
    return replace(journal_db.entry(), **{"xid": None, "verb": "update", "changes": rows, **changes})


def make_image(number: int, **more: str) -> Image:
    return Image({"id": str(number), **more}, b'{"id":%d}' % number)


def make_outcome(journal_db: JournalDatabase, recorded: Recorded, *rows: RowChange) -> IntentOutcome:
    return IntentOutcome(recorded, journal_db.connection_id, "committed", rows)


async def wait_stored(journal_db: JournalDatabase, state: str) -> None:
    await wait_until(
        lambda: journal_db.rows("SELECT state FROM journal_writes"),
        "the outcome to be stored",
        matches=lambda found: found[0]["state"] == state,
        seconds=5,
    )


async def test_an_intent_holds_the_rows_as_they_were(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    recorded = await recorder.record(make_intent(journal_db, 1, 2, reserve=5))
    assert (recorded.first_position, recorded.positions) == (0, 5)
    assert await journal_db.rows(_ROWS) == [
        {"position": 1, "verb": "update", "row_key": '["1"]', "before": '{"id":1}', "after": None},
        {"position": 2, "verb": "update", "row_key": '["2"]', "before": '{"id":2}', "after": None},
    ]
    assert await journal_db.rows(_WRITES) == [
        {"state": "pending", "xid": None, "mutation_count": 2, "tables": ["public.t"], "unseen": None, "settled": False}
    ]


async def test_the_outcome_takes_the_place_of_the_images(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    first = await recorder.record(make_intent(journal_db, 1, reserve=3))
    second = await recorder.record(make_intent(journal_db, 9))
    other = replace(make_row(5), table="u")
    assert await recorder.store_outcome(make_outcome(journal_db, second, make_row(9)))
    assert await recorder.store_outcome(
        replace(
            make_outcome(journal_db, first, make_row(1), other), uncaptured=(UncapturedChanges("public", "v", 0, 1, 0),)
        )
    )
    assert [(row["position"], row["row_key"], row["before"]) for row in await journal_db.rows(_ROWS)] == [
        (1, '["1"]', None),
        (2, '["5"]', None),
        (4, '["9"]', None),
    ]
    writes = await journal_db.rows(f"{_WRITES} ORDER BY id")
    assert writes[0] == {
        "state": "committed",
        "xid": None,
        "mutation_count": 2,
        "tables": ["public.t", "public.u"],
        "unseen": [{"schema": "public", "table": "v", "inserted": 0, "updated": 1, "deleted": 0}],
        "settled": True,
    }


async def test_more_than_was_foreseen_goes_behind_everything(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    first = await recorder.record(make_intent(journal_db, 1))
    await recorder.record(make_intent(journal_db, 2))
    assert await recorder.store_outcome(make_outcome(journal_db, first, make_row(1), make_row(3), make_row(4)))
    rows = await journal_db.rows(_ROWS)
    assert [(row["position"], row["row_key"]) for row in rows] == [
        (1, '["1"]'),
        (2, '["2"]'),
        (3, '["3"]'),
        (4, '["4"]'),
    ]
    assert await journal_db.rows("SELECT position FROM journal_sessions") == [{"position": 4}]


async def test_what_is_not_known_keeps_its_images(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    recorded = await recorder.record(make_intent(journal_db, 1))
    recorder.queue_outcome(IntentOutcome(recorded, journal_db.connection_id, "unknown"))
    await wait_stored(journal_db, "unknown")
    assert [row["before"] for row in await journal_db.rows(_ROWS)] == ['{"id":1}']


async def test_the_truth_that_comes_late_counts_and_only_once(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    recorded = await recorder.record(make_intent(journal_db, 1))
    await journal_db.admin.execute("UPDATE journal_writes SET state = 'unknown'")
    assert await recorder.store_outcome(make_outcome(journal_db, recorded, make_row(1)))
    assert await recorder.store_outcome(
        make_outcome(journal_db, recorded, make_row(2))
    )  # settled: it changes nothing more
    assert [(row["row_key"], row["after"]) for row in await journal_db.rows(_ROWS)] == [('["1"]', '{"id":1}')]


async def test_what_was_counted_is_corrected_once(journal_db: JournalDatabase) -> None:
    """An outcome is stored again where the answer to COMMIT was lost."""
    recorder = await journal_db.recorder()
    agent_id = make_id()
    await journal_db.admin.execute(
        "INSERT INTO agents (id, connection_id, name, token_hash, token_hint, access, max_rows_per_write,"
        " max_writes_per_session) VALUES (%s, %s, 'x', '\\x00', 'x', 'write', 100, 100)",
        (agent_id, journal_db.connection_id),
    )
    caller = journal_db.caller(caller_id=agent_id, max_rows_per_hour=100)
    await recorder.record(make_intent(journal_db, caller=caller, reserve=20))
    recorded = await recorder.record(make_intent(journal_db, caller=caller, reserve=10))
    for _ in range(2):
        assert await recorder.store_outcome(make_outcome(journal_db, recorded, make_row(1)))
    assert await journal_db.rows("SELECT rows_written FROM agent_use") == [{"rows_written": 21}]


async def test_it_is_kept_while_our_database_is_away(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    recorded = await recorder.record(make_intent(journal_db, 1))
    await journal_db.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert await recorder.store_outcome(make_outcome(journal_db, recorded, make_row(1)))
    assert (await journal_db.rows(_WRITES))[0]["state"] == "committed"


async def test_stopping_stores_it(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    recorded = [await recorder.record(make_intent(journal_db, number)) for number in range(20)]
    for number, one in enumerate(recorded):
        recorder.queue_outcome(make_outcome(journal_db, one, make_row(number)))
    await recorder.stop()
    assert await journal_db.rows("SELECT DISTINCT state FROM journal_writes") == [{"state": "committed"}]


async def test_one_that_does_not_fit_does_not_sink_the_others(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    good, bad = await recorder.record(make_intent(journal_db, 1)), await recorder.record(make_intent(journal_db, 2))
    lone = replace(make_row(2), after=make_image(2, x="\ud800"))
    waiting = asyncio.create_task(recorder.store_outcome(make_outcome(journal_db, bad, lone)))
    assert await recorder.store_outcome(make_outcome(journal_db, good, make_row(1)))
    assert not await waiting
    assert [row["state"] for row in await journal_db.rows(f"{_WRITES} ORDER BY id")] == ["committed", "pending"]
    assert await recorder.record(make_intent(journal_db, 3))


async def test_the_limit_of_writes_counts_intents(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    caller = journal_db.caller(max_writes=1, capture="representation")
    await recorder.record(make_intent(journal_db, 1, caller=caller))
    with pytest.raises(SessionFrozen):
        await recorder.record(make_intent(journal_db, 2, caller=caller))


async def test_a_session_has_one_capture(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    callers = [journal_db.caller(), journal_db.caller(capture="representation")]
    found = [(await recorder.record(journal_db.entry(1, caller=caller))).session_id for caller in (*callers, *callers)]
    assert found[0] != found[1]
    assert found[:2] == found[2:]
    assert await journal_db.rows("SELECT capture FROM journal_sessions ORDER BY id") == [
        {"capture": "statement"},
        {"capture": "representation"},
    ]


async def test_an_intent_is_given_up_when_it_is_too_old(journal_db: JournalDatabase) -> None:
    async def ask(*_: object) -> dict[int, str | None]:
        raise AssertionError("there is no transaction to ask about")

    recorder = await journal_db.recorder()
    old, young = await recorder.record(make_intent(journal_db, 1)), await recorder.record(make_intent(journal_db, 2))
    await journal_db.admin.execute(
        "UPDATE journal_writes SET at = now() - interval '6 minutes' WHERE id = %s", (old.write_id,)
    )
    assert await Reconciler(journal_db.database, ask).reconcile(journal_db.connection_id) == 1
    states = {row["id"]: row["state"] for row in await journal_db.rows("SELECT id, state FROM journal_writes")}
    assert states == {old.write_id: "unknown", young.write_id: "pending"}


async def test_a_finish_of_what_is_gone_is_let_go(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    assert await recorder.store_outcome(
        make_outcome(journal_db, Recorded(uuid4(), UUID(int=1), 0, 1), make_row(1), make_row(2))
    )
    assert await journal_db.rows(_ROWS) == []
