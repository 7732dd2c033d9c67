"""When what an agent has read is known in memory, and when our database must be asked."""

from uuid import uuid4

from basewarden.connections.agents import AGENT_TOPIC
from basewarden.connections.guard.reads import AgentReads
from basewarden.db import Database, Listener
from basewarden.settings import Settings
from tests.fixtures.sql import run_sql
from tests.fixtures.waiting import wait_until

END_LISTENING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'
"""


async def test_memory_counts_only_where_nothing_changed_lately(settings: Settings) -> None:
    agent, other, now = uuid4(), uuid4(), 1000.0
    database, listener = Database(settings.database_url), Listener(settings.database_url)
    reads = AgentReads(database, listener, body_seconds=10, clock=lambda: now)
    assert not reads.is_settled(agent)  # nothing is heard yet
    await listener.start()
    try:
        await wait_until(lambda: reads.is_settled(agent), "the listener")
        async with database.unit_of_work() as unit:
            await listener.announce(unit, AGENT_TOPIC, str(agent))
        await wait_until(lambda: not reads.is_settled(agent), "the announcement")
        assert reads.is_settled(other)
        now += 61
        assert reads.is_settled(agent)
        await run_sql(settings.database_url.reveal(), END_LISTENING)
        await wait_until(lambda: not reads.is_settled(other), "the end of the connection")
        await wait_until(lambda: listener.is_listening, "the next connection")
        assert not reads.is_settled(other)  # an announcement may have been missed
        now += 61
        assert reads.is_settled(other)
    finally:
        await listener.stop()
        await database.close()
