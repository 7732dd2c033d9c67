"""Who stopped or released what, when and why: kept, shown where it matters, streamed, exported, erased and pruned."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from basewarden.core.ids import make_id
from basewarden.db import Database
from basewarden.journal import SessionFrozen
from basewarden.journal.interventions.pruning import prune_interventions
from basewarden.journal.interventions.queries import anonymise_interventions
from tests.fixtures.bench import Bench, Workshop
from tests.fixtures.journal import JournalDatabase
from tests.journal.test_live import events_path, follow

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"
_MINE = {"x-basewarden-session": "mine"}


async def press(bench: Bench, path: str, reason: str | None = None) -> None:
    answer = await bench.person.post(f"/api/connections/{bench.connection_id}/{path}", json={"reason": reason or "why"})
    assert answer.is_success, answer.text


async def read_events(bench: Bench) -> list[tuple[Any, ...]]:
    async with bench.product.registry.get(Database).engine.connect() as own:
        rows = await own.exec_driver_sql(
            "SELECT action, agent_name, session_id IS NOT NULL, user_name IS NOT NULL, reason"
            " FROM journal_interventions WHERE connection_id = %s ORDER BY id",
            (bench.connection_id,),
        )
        return [tuple(row) for row in rows]


async def test_a_sessions_timeline_says_who_froze_and_released_it(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="Robot", maxWritesPerSession=1)
    session = (await agent.http.post("/notes", json={"id": 1}, headers=_MINE)).headers["x-basewarden-session"]
    assert (await agent.http.post("/notes", json={"id": 2}, headers=_MINE)).json()["code"] == "session_frozen"
    await press(bench, f"sessions/{session}/release", "<b>known")
    await press(bench, f"sessions/{session}/release", "twice")
    await press(bench, f"sessions/{session}/freeze", "odd prices")
    assert await read_events(bench) == [
        ("freeze", "Robot", True, False, None),
        ("release", "Robot", True, True, "<b>known"),
        ("freeze", "Robot", True, True, "odd prices"),
    ]
    page = (await bench.person.get(f"/c/{bench.connection_id}/sessions/{session}")).text
    for words in (
        "Its limit of writes froze this session",
        "You released this session",
        "&lt;b&gt;known",
        "odd prices",
    ):
        assert words in page, words
    own = (await bench.person.get(f"/c/{bench.connection_id}/agents/{agent.id}")).text
    assert "<b>You</b> froze a session of Robot" in own
    home = (await bench.person.get(f"/c/{bench.connection_id}")).text
    assert "<b>You</b> released a session of Robot" in home
    assert "Its limit of writes" not in home


async def test_a_release_without_a_reason_says_that_there_is_none(workshop: Workshop) -> None:
    """Pages ask for a reason; a program may give none."""
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="Robot")
    session = (await agent.http.post("/notes", json={"id": 1}, headers=_MINE)).headers["x-basewarden-session"]
    api = f"/api/connections/{bench.connection_id}"
    assert (await bench.person.post(f"{api}/sessions/{session}/freeze")).is_success
    assert (await bench.person.post(f"{api}/sessions/{session}/release")).is_success
    page = (await bench.person.get(f"/c/{bench.connection_id}/sessions/{session}")).text
    assert page.count("no reason is recorded") == 1
    own = (await bench.person.get(f"/c/{bench.connection_id}/agents/{agent.id}")).text
    assert own.count("no reason is recorded") == 1


async def test_stops_arrive_live_with_who_and_why(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="Robot")
    session = (await agent.http.post("/notes", json={"id": 1}, headers=_MINE)).headers["x-basewarden-session"]
    async with follow(bench.person, events_path(bench)) as stream:
        for number, (path, reason) in enumerate(
            [(f"agents/{agent.id}/pause", "a"), ("freeze", "b"), (f"sessions/{session}/freeze", "c")], 1
        ):
            await press(bench, path, reason)
            await stream.wait_for(number, "state")
        found = [
            (data["sessionId"], data["agentId"], data["action"], data["reason"])
            for kind, data in stream.events
            if kind == "state"
        ]
        assert found == [
            (None, agent.id, "pause", "a"),
            (None, None, "freeze", "b"),
            (session, agent.id, "freeze", "c"),
        ]
        assert all("@example.com" in data["by"] for kind, data in stream.events if kind == "state")
        assert "null" not in json.dumps([data["at"] for kind, data in stream.events if kind == "state"])
    async with follow(bench.person, events_path(bench, session)) as narrow:
        await press(bench, f"agents/{agent.id}/resume")
        await press(bench, f"sessions/{session}/release", "d")
        (state,) = await narrow.wait_for(1, "state")
        assert (state["sessionId"], state["action"], state["reason"]) == (session, "release", "d")


async def test_the_limit_freezes_once_and_is_recorded_once_by_two_processes(journal_db: JournalDatabase) -> None:
    recorders = [await journal_db.recorder(), await journal_db.recorder()]
    caller = journal_db.caller(label="shared", max_writes=5)
    results = await asyncio.gather(
        *(recorders[n % 2].record(journal_db.entry(n, caller=caller)) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, SessionFrozen) for result in results) == 15
    (found,) = await journal_db.rows("SELECT action, agent_id, agent_name, user_id, xact FROM journal_interventions")
    assert (found["action"], found["agent_id"], found["agent_name"]) == ("freeze", caller.caller_id, "robot")
    assert (found["user_id"], found["xact"] is not None) == (None, True)


async def add(journal: JournalDatabase, days: int, user_id: UUID | None = None) -> None:
    await journal.admin.execute(
        "INSERT INTO journal_interventions (id, connection_id, at, action, user_id, user_name, reason)"
        " VALUES (%s, %s, now() - make_interval(days => %s), 'freeze', %s, %s, 'their words')",
        (make_id(), journal.connection_id, days, user_id, "Anna" if user_id else None),
    )


async def test_old_ones_are_pruned(journal_db: JournalDatabase) -> None:
    for days in (1, 89, 91, 400):
        await add(journal_db, days)
    assert await prune_interventions(journal_db.database, timedelta(days=90), 1) == 2
    assert len(await journal_db.rows("SELECT 1 FROM journal_interventions")) == 2


async def test_a_deleted_person_leaves_neither_name_nor_words(journal_db: JournalDatabase) -> None:
    anna, other = make_id(), make_id()
    for user_id in (anna, other):
        await add(journal_db, 1, user_id)
    async with journal_db.database.unit_of_work() as unit:
        assert await anonymise_interventions(unit, anna, "deleted person") == 1
    rows = await journal_db.rows("SELECT user_name, reason FROM journal_interventions ORDER BY user_name")
    assert [(row["user_name"], row["reason"]) for row in rows] == [("Anna", "their words"), ("deleted person", None)]


@pytest.mark.parametrize("action", ["pause", "freeze"])
async def test_a_stop_is_no_event_where_it_changed_nothing(workshop: Workshop, action: str) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    paths = [f"agents/{agent.id}/{action}"] * 8
    await asyncio.gather(*(press(bench, path) for path in paths))
    assert len(await read_events(bench)) == 1
