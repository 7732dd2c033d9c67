"""A session over its budget is frozen, stays so, and takes writes again once a member has released it."""

import asyncio

import pytest

from basewarden.db import Database
from basewarden.journal import SessionFrozen
from tests.fixtures.bench import Bench, BenchAgent, Workshop, on_both_backends
from tests.fixtures.journal import JournalDatabase

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"
_MINE = {"x-basewarden-session": "mine"}


async def use_up(bench: Bench, writes: int = 2) -> tuple[BenchAgent, str]:
    """An agent whose session has just been refused its last write but one."""
    agent = await bench.agent(maxWritesPerSession=writes)
    session = ""
    for number in range(writes):
        answer = await agent.http.post("/notes", json={"id": number}, headers=_MINE)
        session = answer.headers["x-basewarden-session"]
    assert await write(agent, 99) == "session_frozen"
    return agent, session


async def write(agent: BenchAgent, number: int, **headers: str) -> str:
    answer = await agent.http.post("/notes", json={"id": number}, headers={**_MINE, **headers})
    return "" if answer.is_success else str(answer.json()["code"])


async def ask(bench: Bench, session: str, what: str) -> dict[str, object]:
    answer = await bench.person.post(f"/api/connections/{bench.connection_id}/sessions/{session}/{what}")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


@on_both_backends
async def test_a_used_up_session_is_frozen_until_it_is_released(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent, session = await use_up(bench)
    found = await bench.journal(session)
    assert (found["status"], found["frozenReason"], found["writeCount"]) == ("frozen", "budget", 2)
    assert await write(agent, 5) == "session_frozen"
    released = await ask(bench, session, "release")
    assert (released["status"], released["frozenAt"]) == ("active", None)
    assert [await write(agent, number) for number in (5, 6, 7)] == ["", "", "session_frozen"]
    assert (await bench.journal(session))["status"] == "frozen"
    assert await bench.rows("SELECT count(*) AS n FROM notes") == [{"n": 4}]


async def test_a_refusal_says_which_session_it_was(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent, session = await use_up(bench)
    answer = await agent.http.post("/notes", json={"id": 5}, headers=_MINE)
    assert answer.json()["details"] == {"sessionId": session}
    assert "until an editor of the connection releases it" in answer.json()["hint"]


async def test_a_member_freezes_a_session_by_hand(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    session = (await agent.http.post("/notes", json={"id": 1}, headers=_MINE)).headers["x-basewarden-session"]
    assert (await ask(bench, session, "freeze"))["frozenReason"] == "member"
    answer = await agent.http.post("/notes", json={"id": 2}, headers=_MINE)
    assert answer.json()["message"] == "A member of this connection has frozen this session."
    assert await bench.rows("SELECT count(*) AS n FROM notes") == [{"n": 1}]
    assert await write(agent, 2, **{"x-basewarden-session": "another"}) == ""
    assert (await ask(bench, session, "release"))["status"] == "active"
    assert await write(agent, 3) == ""


async def test_a_frozen_session_is_undone_and_brought_back(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    _, session = await use_up(bench)
    path = f"/api/connections/{bench.connection_id}/sessions"
    body = {"mode": "apply", "onConflict": "refuse"}
    undo = (await bench.person.post(f"{path}/{session}/undo", json=body)).json()["undoSessionId"]
    assert (await bench.journal(session))["status"] == "undone"
    assert (await bench.person.post(f"{path}/{undo}/freeze")).json()["code"] == "not_freezable"
    assert (await bench.person.post(f"{path}/{undo}/undo", json=body)).status_code == 200
    assert (await bench.journal(session))["status"] == "frozen"


async def test_states_are_found_by_their_names(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    _, frozen = await use_up(bench)
    agent = await bench.agent()
    named: dict[str, str] = {}
    for name in ("active", "ended"):
        row = {"id": 100 + len(named)}
        answer = await agent.http.post("/notes", json=row, headers={"x-basewarden-session": name})
        named[name] = answer.headers["x-basewarden-session"]
    engine = bench.product.registry.get(Database).engine
    async with engine.begin() as own:
        await own.exec_driver_sql(
            "UPDATE journal_sessions SET last_seen_at = now() - interval '301 seconds' WHERE id = %s", (named["ended"],)
        )
    for status, expected in {
        **{name: [found] for name, found in named.items()},
        "frozen": [frozen],
        "expired": [],
    }.items():
        answer = await bench.person.get(f"/api/connections/{bench.connection_id}/sessions?status={status}")
        assert [one["id"] for one in answer.json()["sessions"]] == expected
        assert all(one["status"] == status for one in answer.json()["sessions"])


async def test_who_may_freeze(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    _, session = await use_up(bench)
    stranger = await bench.product.sign_up(f"s{bench.connection_id}@example.com")
    visitor = await bench.product.client()
    path = f"/api/connections/{bench.connection_id}/sessions/{session}"
    for what in ("freeze", "release"):
        assert (await stranger.post(f"{path}/{what}")).status_code == 404
        assert (await visitor.post(f"{path}/{what}")).status_code == 401
        assert (await bench.person.post(f"{path}x/{what}")).status_code == 404


async def test_the_limit_is_kept_by_two_processes_at_once(journal_db: JournalDatabase) -> None:
    recorders = [await journal_db.recorder(), await journal_db.recorder()]
    caller = journal_db.caller(label="shared", max_writes=5)
    results = await asyncio.gather(
        *(recorders[n % 2].record(journal_db.entry(n, caller=caller)) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, SessionFrozen) for result in results) == 15
    assert await journal_db.rows("SELECT write_count, frozen_reason FROM journal_sessions") == [
        {"write_count": 5, "frozen_reason": "budget"}
    ]
    with pytest.raises(SessionFrozen):
        await recorders[0].record(journal_db.entry(30, caller=journal_db.caller(label="shared", max_writes=500)))
