"""The recorder: one order, whatever comes at once; nothing half stored, no caller left waiting."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from basewarden.core.secret import Secret
from basewarden.db import Listener
from basewarden.journal import JournalUnavailable, Recorder, SessionFrozen
from tests.fixtures.journal import JournalDatabase, make_row
from tests.fixtures.waiting import wait_until

_IN_ORDER = "SELECT position, row_key FROM journal_mutations ORDER BY session_id, position"


async def test_what_comes_at_once_shares_transactions_and_keeps_its_order(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    written = await asyncio.gather(*(recorder.record(journal_db.entry(n, xid=n)) for n in range(1, 101)))
    assert len({one.session_id for one in written}) == 1
    rows = await journal_db.rows(_IN_ORDER)
    assert [(row["position"], row["row_key"]) for row in rows] == [(n, f'["{n}"]') for n in range(1, 101)]
    (count,) = await journal_db.rows("SELECT count(DISTINCT xmin::text) AS n, min(state) AS state FROM journal_writes")
    assert count["n"] <= 3
    assert count["state"] == "pending"


async def test_marks_are_stored_and_only_pending_ones_change(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    first = await recorder.record(journal_db.entry(1, xid=1))
    second = await recorder.record(journal_db.entry(2, xid=2))
    recorder.mark(first.write_id, "committed")
    recorder.mark(second.write_id, "aborted")
    await recorder.stop()
    again = await journal_db.recorder()
    again.mark(first.write_id, "aborted")  # too late: it is settled
    await again.stop()
    rows = await journal_db.rows("SELECT id, state, settled_at IS NOT NULL AS settled FROM journal_writes ORDER BY xid")
    assert rows == [
        {"id": first.write_id, "state": "committed", "settled": True},
        {"id": second.write_id, "state": "aborted", "settled": True},
    ]


async def test_stopping_stores_what_is_on_its_way(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    waiting = [asyncio.create_task(recorder.record(journal_db.entry(n))) for n in range(300)]
    await asyncio.sleep(0)
    await recorder.stop()
    assert len(await asyncio.gather(*waiting)) == 300
    assert (await journal_db.rows("SELECT count(*) AS n FROM journal_mutations")) == [{"n": 300}]


async def test_a_write_of_20000_rows(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    await recorder.record(journal_db.entry(*range(20_000)))
    assert await journal_db.rows(
        "SELECT count(*) AS n, max(position) AS last, bool_and(row_key = '[\"' || position - 1 || '\"]') AS ordered"
        " FROM journal_mutations"
    ) == [{"n": 20_000, "last": 20_000, "ordered": True}]


async def test_large_images_go_in_several_statements(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    rows = []
    for number in range(5):
        row = make_row(number)
        assert row.after is not None
        image = replace(row.after, exact={"id": str(number), "blob": "x" * 8_000_000})
        rows.append(replace(row, after=image))
    await recorder.record(journal_db.entry(changes=tuple(rows)))
    assert await journal_db.rows(
        "SELECT count(*) AS n, min(length(after_exact->>'blob')) AS least FROM journal_mutations"
    ) == [{"n": 5, "least": 8_000_000}]


@pytest.mark.parametrize("summary", ["nul \0 in it", "lone \ud800 surrogate"])
async def test_one_bad_entry_does_not_sink_the_others(journal_db: JournalDatabase, summary: str) -> None:
    recorder = await journal_db.recorder()
    entries = [journal_db.entry(1), journal_db.entry(2, summary=summary), journal_db.entry(3)]
    results = await asyncio.gather(*(recorder.record(entry) for entry in entries), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Recorded", "JournalUnavailable", "Recorded"]
    with pytest.raises(JournalUnavailable):
        await recorder.record(entries[1])  # alone it is refused as well
    await recorder.record(journal_db.entry(4))
    assert [row["row_key"] for row in await journal_db.rows(_IN_ORDER)] == ['["1"]', '["3"]', '["4"]']


async def test_an_undo_of_a_session_that_is_gone_is_refused(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    entry = replace(journal_db.entry(1, caller=journal_db.caller(kind="undo")), session_id=uuid4())
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(recorder.record(entry), 2)


async def test_a_connection_that_is_gone_is_refused(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    caller = replace(journal_db.caller(), connection_id=uuid4())
    with pytest.raises(JournalUnavailable):
        await recorder.record(journal_db.entry(1, caller=caller))


async def test_the_limit_holds_for_what_comes_at_once(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    caller = journal_db.caller(max_writes=3)
    results = await asyncio.gather(
        *(recorder.record(journal_db.entry(n, caller=caller)) for n in range(8)), return_exceptions=True
    )
    assert [isinstance(result, SessionFrozen) for result in results] == [False] * 3 + [True] * 5
    assert len(await journal_db.rows(_IN_ORDER)) == 3


async def test_two_processes_write_one_session_without_colliding(journal_db: JournalDatabase) -> None:
    recorders = [await journal_db.recorder(), await journal_db.recorder()]
    caller = journal_db.caller(label="shared", max_writes=60)
    results = await asyncio.gather(
        *(recorders[n % 2].record(journal_db.entry(n, n + 1000, caller=caller)) for n in range(80)),
        return_exceptions=True,
    )
    stored = [result for result in results if not isinstance(result, BaseException)]
    assert len(stored) == 60
    assert len({one.session_id for one in stored}) == 1
    rows = await journal_db.rows("SELECT position, write_id FROM journal_mutations ORDER BY position")
    assert [row["position"] for row in rows] == list(range(1, 121))
    pairs = [{rows[at]["write_id"], rows[at + 1]["write_id"]} for at in range(0, 120, 2)]
    assert all(len(pair) == 1 for pair in pairs)
    assert await journal_db.rows("SELECT position, write_count FROM journal_sessions") == [
        {"position": 120, "write_count": 60}
    ]


async def test_callers_and_labels_have_sessions_of_their_own(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    callers = [
        journal_db.caller(),
        journal_db.caller("other"),
        journal_db.caller(label="a"),
        journal_db.caller(label="b"),
    ]
    found = [(await recorder.record(journal_db.entry(1, caller=caller))).session_id for caller in (*callers, *callers)]
    assert len(set(found)) == 4
    assert found[:4] == found[4:]


async def test_only_so_many_sessions_are_remembered(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder(max_sessions=2)
    first = {name: await record_as(journal_db, recorder, name) for name in ("a", "b", "a", "c")}
    assert await record_as(journal_db, recorder, "b") == first["b"], "it was forgotten, and found again"
    await journal_db.admin.execute("UPDATE journal_sessions SET caller_key = 'somebody else'")
    assert await record_as(journal_db, recorder, "c") == first["c"]
    assert await record_as(journal_db, recorder, "a") != first["a"]


async def record_as(journal_db: JournalDatabase, recorder: Recorder, label: str) -> UUID:
    return (await recorder.record(journal_db.entry(1, caller=journal_db.caller(label=label)))).session_id


async def test_a_session_that_was_undone_takes_no_more_writes(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    first = await recorder.record(journal_db.entry(1))
    await journal_db.admin.execute("UPDATE journal_sessions SET status = 'undone' WHERE id = %s", (first.session_id,))
    second = await recorder.record(journal_db.entry(2))
    assert second.session_id != first.session_id
    assert await journal_db.rows(
        f"SELECT count(*) AS n FROM journal_mutations WHERE session_id = '{first.session_id}'"
    ) == [{"n": 1}]


async def test_the_connection_is_made_again_after_it_was_cut(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    first = await recorder.record(journal_db.entry(1))
    await journal_db.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    recorder.mark(first.write_id, "committed")
    await wait_until(
        lambda: journal_db.rows("SELECT state FROM journal_writes"),
        "the write to be marked committed",
        matches=lambda found: found[0]["state"] == "committed",
        seconds=5,
    )
    await recorder.record(journal_db.entry(2))
    assert len(await journal_db.rows(_IN_ORDER)) == 2


async def test_an_unreachable_database_refuses_instead_of_hanging(journal_db: JournalDatabase) -> None:
    dsn = journal_db.dsn.rpartition("/")[0] + "/nowhere"
    recorder = Recorder(Secret(dsn), Listener(Secret(dsn)))
    await recorder.start()
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(recorder.record(journal_db.entry(1)), 5)
    recorder.mark(UUID(int=1), "committed")
    await asyncio.wait_for(recorder.stop(), 5)


async def test_exact_json_survives(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    row = make_row(1)
    assert row.after is not None
    shown = b'{"id":1,"a":"\\u0000","n":1.00000000000000000000010,"n":2,"big":123456789012345678901234567890}'
    await recorder.record(journal_db.entry(changes=(replace(row, after=replace(row.after, shown=shown)),)))
    assert await journal_db.rows("SELECT after::text AS shown FROM journal_mutations") == [{"shown": shown.decode()}]
