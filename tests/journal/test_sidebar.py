"""The numbers beside the rooms of a connection: what they count, and that they stay cheap with a large journal."""

from dataclasses import dataclass
from typing import cast
from uuid import uuid4

from sqlalchemy import Row

from basewarden.core.secret import Secret
from basewarden.db import Listener
from basewarden.journal.refusals import RefusalLog
from basewarden.journal.sidebar import SidebarCounts
from basewarden.journal.sidebar.queries import COUNT
from basewarden.journal.sidebar.service import describe_counts
from basewarden.web import RoomCount, RoomCounts
from tests.fixtures.bench import Workshop
from tests.fixtures.journal import JournalDatabase

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"
_FILL = """
    INSERT INTO journal_sessions (id, connection_id, caller_key, kind, caller_name, last_seen_at, frozen_at, status)
    SELECT gen_random_uuid(), '{connection}', 'agent:' || (n % 50), 'agent', 'robot', now() - make_interval(mins => 3 * n - 14),
        CASE WHEN n % 20000 = 7 THEN now() END, CASE WHEN n % 3 = 0 THEN 'undone' ELSE 'open' END
    FROM generate_series(0, 99999) AS n
"""


@dataclass
class _Found:
    """A row of the query."""

    active: int = 0
    frozen: int = 0
    blocked: int = 0
    agents: int = 0
    frozen_agents: int = 0

    def describe(self) -> RoomCounts:
        return describe_counts(cast("Row[tuple[int, ...]]", self))


def test_nothing_is_shown_for_nothing() -> None:
    assert _Found().describe() == {}


def test_what_needs_a_look_is_urgent() -> None:
    assert _Found(active=2, frozen=1, blocked=3, agents=4, frozen_agents=2).describe() == {
        "/sessions": [RoomCount(2, "running now", "live"), RoomCount(1, "frozen", "frozen")],
        "/refusals": [RoomCount(3, "in the last 24 hours", "urgent")],
        "/agents": [RoomCount(4, "in use"), RoomCount(2, "frozen", "frozen")],
    }


async def count(journal_db: JournalDatabase) -> RoomCounts:
    return await make_counts(journal_db).count(journal_db.connection_id)


def make_counts(journal_db: JournalDatabase, **options: float) -> SidebarCounts:
    """It hears nothing of what happens."""
    return SidebarCounts(journal_db.database, Listener(Secret(journal_db.dsn)), **options)


async def test_old_undone_and_foreign_sessions_are_not_counted(journal_db: JournalDatabase) -> None:
    recorder = await journal_db.recorder()
    await recorder.record(journal_db.entry(1))
    assert await count(journal_db) == {"/sessions": [RoomCount(1, "running now", "live")]}
    assert await make_counts(journal_db).count(uuid4()) == {}
    await journal_db.admin.execute("UPDATE journal_sessions SET frozen_at = now()")
    assert await count(journal_db) == {"/sessions": [RoomCount(1, "frozen", "frozen")]}
    await journal_db.admin.execute("UPDATE journal_sessions SET status = 'undone'")
    assert await count(journal_db) == {}
    await journal_db.admin.execute(
        "UPDATE journal_sessions SET status = 'open', frozen_at = NULL, last_seen_at = now() - interval '6 minutes'"
    )
    assert await count(journal_db) == {}


async def test_counts_are_kept_for_seconds(journal_db: JournalDatabase) -> None:
    recorder, counts = await journal_db.recorder(), make_counts(journal_db)
    await recorder.record(journal_db.entry(1))
    first = await counts.count(journal_db.connection_id)
    await journal_db.admin.execute("UPDATE journal_sessions SET status = 'undone'")
    assert await counts.count(journal_db.connection_id) == first
    assert await make_counts(journal_db, keep_seconds=0).count(journal_db.connection_id) == {}


async def test_a_large_journal_costs_no_more(journal_db: JournalDatabase) -> None:
    """100,000 sessions: both counts of sessions read an index."""
    await journal_db.admin.execute(_FILL.format(connection=journal_db.connection_id).encode())
    await journal_db.admin.execute("ANALYZE journal_sessions")
    found = await count(journal_db)
    assert [(one.number, one.words) for one in found["/sessions"]] == [(3, "running now"), (3, "frozen")]
    plan = str(await journal_db.rows(f"EXPLAIN {_with_values(journal_db)}"))
    assert "ix_journal_sessions_last_seen" in plan
    assert "ix_journal_sessions_frozen" in plan
    assert "Seq Scan on journal_sessions" not in plan


def _with_values(journal_db: JournalDatabase) -> str:
    values = {
        "id": f"'{journal_db.connection_id}'",
        "running_within": "interval '30 seconds'",
        "blocked_within": "interval '1 day'",
        "most": "1000",
    }
    query = COUNT.replace(r"\:", ":")
    for name, value in values.items():
        query = query.replace(f":{name}", value)
    return query


async def test_the_pages_have_the_counts_in_words(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(maxWritesPerSession=1)
    for number in range(3):
        await agent.http.post("/notes", json={"id": number}, headers={"x-basewarden-session": "used up"})
    await agent.http.post("/notes", json={"id": 9}, headers={"x-basewarden-session": "active"})
    await bench.product.registry.get(RefusalLog).flush()
    page = (await bench.person.get(f"/c/{bench.connection_id}/agents")).text
    for words in ("1 running now", "1 frozen", "2 in the last 24 hours", "1 in use"):
        assert f'<span class="visually-hidden">, {words}</span>' in page


async def test_a_session_that_was_just_frozen_is_not_counted_as_running(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    await agent.http.post("/notes", json={"id": 1})
    pages = f"/c/{bench.connection_id}/agents"
    assert "1 running now" in (await bench.person.get(pages)).text
    (session,) = (await bench.person.get(f"/api/connections/{bench.connection_id}/sessions")).json()["sessions"]
    for what, words in (("freeze", "1 frozen"), ("release", "1 running now"), ("freeze", "1 frozen")):
        path = f"/c/{bench.connection_id}/sessions/{session['id']}/{what}"
        done = await bench.person.post(path, data={"reason": "because"})
        assert words in (await bench.person.get(done.headers["location"])).text


async def test_the_page_of_a_new_agent_counts_it(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    pages = f"/c/{bench.connection_id}/agents"
    await bench.agent()
    assert _in_use(1) in (await bench.person.get(pages)).text
    made = await bench.person.post(pages, data={"name": "second", "access": "read", "reach": "all"})
    assert made.status_code == 201, made.text
    assert _in_use(2) in made.text
    assert _in_use(2) in (await bench.person.get(pages)).text


def _in_use(number: int) -> str:
    return f'<span class="visually-hidden">, {number} in use</span>'
