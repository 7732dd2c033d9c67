"""Who may come in, whose session their writes belong to, and how often they may knock."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.bench import Bench, OwnWorkshop, Workshop, on_both_backends

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes SELECT generate_series(1, 9)"


@on_both_backends
async def test_no_or_bad_credentials(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    door = await bench.client(f"/api/v/{bench.connection_id}/rest/v1")
    other = agent.token[:-1] + ("a" if agent.token[-1] != "a" else "b")
    for headers in (
        {},
        {"authorization": f"Bearer {other}"},
        {"authorization": f"Basic {agent.token}"},
        {"authorization": f"Bearer {agent.token}", "apikey": other},
        {"apikey": agent.token, "authorization": "Bearer x"},
        {"apikey": agent.token, "cookie": "authjs.session-token=made-up"},
    ):
        answer = await door.get("/notes", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), headers
    for headers in ({"apikey": agent.token}, {"authorization": f"bearer {agent.token}", "apikey": agent.token}):
        assert (await door.get("/notes", headers=headers)).status_code == 200


async def test_another_connections_token_is_404(workshop: Workshop) -> None:
    bench, other = await workshop.bench(_NOTES), await workshop.bench(_NOTES)
    agent = await bench.agent()
    headers = {"apikey": agent.token}
    for address in (other.connection_id, "00000000-0000-0000-0000-000000000000", "nonsense"):
        for room in ("rest/v1/notes", "introspect"):
            door = await bench.client("")
            answer = await door.get(f"/api/v/{address}/{room}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_stranger_is_404_and_a_member_may_unfiltered(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    stranger = await bench.product.sign_up(f"{bench.connection_id}@example.com")
    path = f"/api/v/{bench.connection_id}/rest/v1/notes"
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.patch(path, json={"body": "x"})).status_code == 404
    answer = await bench.person.patch(path, json={"body": "x"})
    assert answer.status_code == 204
    journal = await bench.journal(answer.headers["x-basewarden-session"])
    assert (journal["kind"], journal["agent"], journal["mutationCount"]) == ("member", None, 9)


@on_both_backends
async def test_a_viewer_reads_and_does_not_write(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    viewer = await bench.member("viewer")
    path = f"/api/v/{bench.connection_id}/rest/v1/notes"
    assert (await viewer.get(path)).status_code == 200
    answer = await viewer.patch(f"{path}?id=eq.1", json={"body": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "read_only")


async def test_revoked_and_expired_tokens_end_at_once(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    soon = datetime.now(UTC) + timedelta(seconds=3)
    revoked, expiring = await bench.agent(), await bench.agent(expiresAt=soon.isoformat())
    for agent in (revoked, expiring):
        assert (await agent.http.get("/notes?id=eq.1")).status_code == 200
    answer = await bench.person.delete(f"/api/connections/{bench.connection_id}/agents/{revoked.id}")
    assert answer.is_success
    assert (await revoked.http.get("/notes?id=eq.1")).status_code == 401
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.01)  # time itself is what is awaited
    assert (await expiring.http.get("/notes?id=eq.1")).status_code == 401


async def test_the_projects_database_sees_no_credential(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE FUNCTION heard() RETURNS json LANGUAGE sql STABLE AS
            $$ SELECT current_setting('request.headers')::json $$;
    """)
    agent = await bench.agent()
    heard = (await agent.http.get("/rpc/heard", headers={"apikey": agent.token, "x-mine": "1"})).text
    assert agent.token not in heard
    assert '"x-mine"' in heard


async def test_each_write_of_one_shape_has_its_own_headers(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE heard (id int PRIMARY KEY,
            mark text DEFAULT current_setting('request.headers')::json ->> 'x-mark', who text DEFAULT current_user);
    """)
    agent, other = await bench.agent(), await bench.agent()
    marks = ["a", "b", "b", "c", "a"]
    for number, mark in enumerate(marks):
        for offset, chosen in ((0, agent), (100, other)):
            headers = {"x-mark": f"{mark}{offset}"}
            await chosen.write("POST", "/heard", {"id": number + offset}, headers=headers)
    rows = await bench.rows("SELECT id, mark FROM heard ORDER BY id")
    expected = [(offset + number, f"{mark}{offset}") for offset in (0, 100) for number, mark in enumerate(marks)]
    assert [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in rows] == expected


async def _age(bench: Bench, session_id: str) -> None:
    """Five idle minutes, and news to every process that what it remembers may be stale."""
    await bench.query(
        "UPDATE journal_sessions SET last_seen_at = now() - interval '301 seconds' WHERE id = %s", session_id
    )
    await bench.query("SELECT pg_notify('basewarden', 'journal.session:' || %s)", session_id)
    await bench.product.settled()


async def test_writes_of_a_burst_share_a_session(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent, other = await bench.agent(), await bench.agent()
    first = await agent.write("PATCH", "/notes?id=eq.1", {"body": "a"})
    second = await agent.write("PATCH", "/notes?id=eq.1", {"body": "b"})
    elsewhere = await other.write("PATCH", "/notes?id=eq.1", {"body": "c"})
    assert first.session_id == second.session_id != elsewhere.session_id
    assert [one["position"] for one in second.changes] == [2]
    await _age(bench, first.session_id)
    later = await agent.write("PATCH", "/notes?id=eq.1", {"body": "d"})
    assert later.session_id != first.session_id


async def test_a_label_keeps_writes_together(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent, other = await bench.agent(), await bench.agent()

    async def session_of(who: object, label: str) -> str:
        assert who in (agent, other)
        chosen = agent if who is agent else other
        written = await chosen.write(
            "PATCH", "/notes?id=eq.1", {"body": label}, headers={"x-basewarden-session": label}
        )
        return written.session_id

    first = await session_of(agent, "night shift")
    assert await session_of(agent, "night shift") == first
    await _age(bench, first)
    assert await session_of(agent, "night shift") == first
    assert await session_of(agent, first) == first
    assert await session_of(agent, "day shift") != first
    assert await session_of(other, "night shift") != first
    assert await session_of(other, first) != first
    assert (await bench.journal(first))["label"] == "night shift"


@pytest.mark.parametrize("label", ["x" * 101, "tab\there", "ünï", ""])
async def test_a_bad_label_is_refused(workshop: Workshop, label: str) -> None:
    bench = await workshop.bench(_NOTES)
    answer = await (await bench.agent()).http.patch(
        "/notes?id=eq.1", json={"body": "x"}, headers=[(b"x-basewarden-session", label.encode())]
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert await bench.rows("SELECT body FROM notes WHERE id = 1") == [{"body": None}]


async def test_too_many_calls_wait(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"agent_requests_per_minute": 3})
    bench = await workshop.bench(_NOTES)
    agent, other = await bench.agent(), await bench.agent()
    statuses = [(await agent.http.get("/notes?id=eq.1")).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    answer = await agent.http.get("/notes?id=eq.1")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await other.http.get("/notes?id=eq.1")).status_code == 200
