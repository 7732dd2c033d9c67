"""`/api/connections/<id>/sessions`: what a person reads of the journal."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.fixtures.bench import Bench, Workshop

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)"


async def _write_sessions(bench: Bench, count: int) -> list[str]:
    agent = await bench.agent()
    sessions = []
    for number in range(count):
        answer = await agent.http.post("/notes", json={"id": number}, headers={"x-basewarden-session": f"s{number}"})
        sessions.append(answer.headers["x-basewarden-session"])
    return sessions


async def _get(bench: Bench, path: str, who: httpx.AsyncClient | None = None) -> httpx.Response:
    return await (who or bench.person).get(f"/api/connections/{bench.connection_id}/sessions{path}")


async def test_pages_are_newest_first_and_meet(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    sessions = await _write_sessions(bench, 5)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await _get(bench, f"?limit=2{f'&cursor={cursor}' if cursor else ''}")).json()
        found += [one["id"] for one in page["sessions"]]
        cursor = page["nextCursor"]
    assert found == list(reversed(sessions))


async def test_a_session_says_who_what_and_when(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="Clerk")
    await agent.write("POST", "/notes", [{"id": 1}, {"id": 2}], headers={"x-basewarden-session": "mine"})
    written = await agent.write("POST", "/other", {"id": 3}, headers={"x-basewarden-session": "mine"})
    (session,) = await bench.sessions()
    expected = {
        "id": written.session_id,
        "agent": {"id": agent.id, "name": "Clerk"},
        "kind": "agent",
        "label": "mine",
        "status": "active",
        "mutationCount": 3,
        "tables": ["public.notes", "public.other"],
        "capture": "statement",
    }
    assert {name: session[name] for name in expected} == expected
    assert session["startedAt"] <= session["lastSeenAt"]
    journal = await bench.journal(written.session_id)
    assert [one["position"] for one in journal["mutations"]] == [1, 2, 3]
    assert [write["summary"] for write in journal["writes"]] == ["POST /notes", "POST /other"]


async def test_status_filters(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    first, second = await _write_sessions(bench, 2)
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute("UPDATE journal_sessions SET status = 'undone' WHERE id = %s", (first,))
    for status, expected in (
        ("active", [second]),
        ("undone", [first]),
        ("partly_undone", []),
        ("ended", []),
        ("frozen", []),
    ):
        answer = (await _get(bench, f"?status={status}")).json()
        assert [one["id"] for one in answer["sessions"]] == expected


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=odd", "cursor=%21", "cursor=abc", "after=-1"]
)
async def test_bad_questions_are_422(workshop: Workshop, query: str) -> None:
    bench = await workshop.bench(_NOTES)
    path = f"?{query}" if not query.startswith("after") else f"/{(await _write_sessions(bench, 1))[0]}?{query}"
    answer = await _get(bench, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["details"][0]["field"] == query.partition("=")[0]


async def test_strangers_and_strange_ids_are_404(workshop: Workshop) -> None:
    bench, other = await workshop.bench(_NOTES), await workshop.bench(_NOTES)
    (session,) = await _write_sessions(bench, 1)
    stranger = await bench.product.sign_up(f"s{bench.connection_id}@example.com")
    visitor = await bench.product.client()
    for path in ("", f"/{session}"):
        assert (await _get(bench, path, stranger)).status_code == 404
        assert (await _get(bench, path, visitor)).status_code == 401
    beyond = await _get(bench, f"/{session}?after={'9' * 30}")
    assert (beyond.status_code, beyond.json()["mutations"]) == (200, [])
    for strange in ("nonsense", "00000000-0000-0000-0000-000000000000", session.upper() + "x"):
        assert (await _get(bench, f"/{strange}")).status_code == 404
    assert (await _get(other, f"/{session}")).status_code == 404


async def test_a_long_session_is_read_in_pages(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(maxRowsPerWrite=5000)
    answer = await agent.http.post("/notes", json=[{"id": n} for n in range(2500)])
    path = f"/{answer.headers['x-basewarden-session']}"
    positions: list[int] = []
    after: Any = 0
    while after is not None:
        page = (await _get(bench, f"{path}?after={after}")).json()
        positions += [one["position"] for one in page["mutations"]]
        after = page["nextAfter"]
    assert positions == list(range(1, 2501))
