"""A write is stored before a stop of its agent or refused by it; there is no moment between."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from basewarden.connections import make_stop_key
from basewarden.connections.stops import AgentFrozen
from basewarden.errors import AppError
from tests.fixtures.journal import JournalDatabase
from tests.fixtures.waiting import wait_until

_STOPS = {
    "agent_frozen": "UPDATE agents SET frozen_at = now() WHERE id = %s",
    "unauthenticated": "UPDATE agents SET revoked_at = now() WHERE id = %s",
    "connection_frozen": "UPDATE connections SET agents_frozen_at = now() WHERE id = (SELECT connection_id FROM agents WHERE id = %s)",
}


async def make_agent(journal: JournalDatabase) -> UUID:
    """The one that `journal.caller()` writes as."""
    agent_id = journal.caller().caller_id
    await journal.admin.execute(
        "INSERT INTO agents (id, connection_id, name, token_hash, token_hint, access, max_rows_per_write,"
        " max_writes_per_session) VALUES (%s, %s, 'robot', 'x', 'x', 'write', 10, 10)",
        (agent_id, journal.connection_id),
    )
    return agent_id


@pytest.mark.parametrize("code", list(_STOPS))
async def test_a_write_that_began_before_the_stop_is_refused(journal_db: JournalDatabase, code: str) -> None:
    agent_id = await make_agent(journal_db)
    recorder = await journal_db.recorder()
    await recorder.record(journal_db.entry(1))
    await journal_db.admin.execute(_STOPS[code].encode(), (agent_id,))
    with pytest.raises(AppError) as refused:
        await recorder.record(journal_db.entry(2))
    assert refused.value.code == code
    member = journal_db.caller("person", kind="member")
    await recorder.record(journal_db.entry(3, caller=member))
    assert await count_writes(journal_db) == 2


async def test_a_pause_refuses_no_write_that_has_begun(journal_db: JournalDatabase) -> None:
    agent_id = await make_agent(journal_db)
    recorder = await journal_db.recorder()
    await journal_db.admin.execute("UPDATE agents SET paused_at = now() WHERE id = %s", (agent_id,))
    await recorder.record(journal_db.entry(1))
    assert await count_writes(journal_db) == 1


async def test_a_write_waits_for_the_stop_that_is_about_to_commit(journal_db: JournalDatabase) -> None:
    agent_id = await make_agent(journal_db)
    recorder = await journal_db.recorder()
    await recorder.record(journal_db.entry(1))
    async with await psycopg.AsyncConnection.connect(journal_db.dsn) as stopping:
        await stopping.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (make_stop_key(journal_db.connection_id),)
        )
        await stopping.execute(_STOPS["agent_frozen"].encode(), (agent_id,))
        writing = asyncio.create_task(recorder.record(journal_db.entry(2)))
        await wait_until(lambda: journal_db.rows(_WAITING), "the recorder to wait")
        assert not writing.done()
        await stopping.commit()
    with pytest.raises(AppError) as refused:
        await writing
    assert refused.value.code == "agent_frozen"
    assert await count_writes(journal_db) == 1


async def test_random_stops_among_writers_of_two_processes(journal_db: JournalDatabase) -> None:
    """Each stop reads how many writes are stored when it commits: none is added until the release."""
    agent_id = await make_agent(journal_db)
    await journal_db.admin.execute("UPDATE agents SET max_writes_per_session = 1000000")
    recorders = [await journal_db.recorder(), await journal_db.recorder()]
    caller = journal_db.caller()
    is_over = asyncio.Event()

    async def write_on(number: int) -> int:
        stored = 0
        while not is_over.is_set():
            try:
                await recorders[number % 2].record(journal_db.entry(1, caller=caller))
                stored += 1
            except AgentFrozen:
                await asyncio.sleep(0.001)
        return stored

    writers = [asyncio.create_task(write_on(number)) for number in range(8)]
    async with await psycopg.AsyncConnection.connect(journal_db.dsn) as stopping:
        for _ in range(15):
            await asyncio.sleep(0.02)
            key = make_stop_key(journal_db.connection_id)
            await stopping.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
            await stopping.execute(_STOPS["agent_frozen"].encode(), (agent_id,))
            await stopping.commit()
            before = await count_writes(journal_db)
            await asyncio.sleep(0.02)
            assert await count_writes(journal_db) == before
            await stopping.execute("UPDATE agents SET frozen_at = NULL WHERE id = %s", (agent_id,))
            await stopping.commit()
    is_over.set()
    assert sum(await asyncio.gather(*writers)) == await count_writes(journal_db) > 0


_WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def count_writes(journal: JournalDatabase) -> int:
    found: list[dict[str, Any]] = await journal.rows("SELECT count(*) AS n FROM journal_writes")
    return int(found[0]["n"])
