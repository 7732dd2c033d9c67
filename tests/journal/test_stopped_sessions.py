"""Sessions of an agent that is frozen, paused or revoked: no page, filter or count calls them running."""

import re

import psycopg

from tests.fixtures.bench import Bench, Workshop

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"


async def list_by_status(bench: Bench, status: str) -> list[str]:
    answer = await bench.person.get(f"/api/connections/{bench.connection_id}/sessions", params={"status": status})
    found = answer.json()["sessions"]
    assert {one["status"] for one in found} <= {status}
    return [one["id"] for one in found]


async def read_pages(bench: Bench, session_id: str, agent_id: str) -> dict[str, str]:
    home = f"/c/{bench.connection_id}"
    paths = {"home": home, "list": f"{home}/sessions", "session": f"{home}/sessions/{session_id}"}
    paths["agent"] = f"{home}/agents/{agent_id}"
    return {name: (await bench.person.get(path)).text for name, path in paths.items()}


async def test_a_session_of_a_stopped_agent_is_nowhere_running(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="price-bot")
    session = (await agent.write("POST", "/notes", {"id": 1})).session_id
    api = f"/api/connections/{bench.connection_id}"
    own = f"{api}/agents/{agent.id}"
    steps = [
        ("POST", f"{own}/freeze", "frozen", "frozen"),
        ("POST", f"{own}/release", "active", "running"),
        ("POST", f"{own}/pause", "ended", "paused"),
        ("POST", f"{own}/resume", "active", "running"),
        ("POST", f"{api}/freeze", "frozen", "frozen"),
        ("DELETE", f"{api}/freeze", "active", "running"),
        ("POST", f"/c/{bench.connection_id}/agents/{agent.id}/revoke", "ended", "ended"),
    ]
    for method, path, status, state in steps:
        done = await bench.person.request(method, path, json={"reason": "because"} if "/api/" in path else None)
        assert done.status_code in (200, 303), done.text
        for one in ("active", "frozen", "ended"):
            assert await list_by_status(bench, one) == ([session] if one == status else []), (path, one)
        is_running = state == "running"
        for name, page in (await read_pages(bench, session, agent.id)).items():
            assert ("data-running" in page) is is_running, (path, name)
            assert ("1 running now" in page) is is_running, (path, name)
            assert (", 1 frozen<" in page) is (status == "frozen"), (path, name)
            assert ("working right now." in page and "No agent" not in page) is (is_running and name == "home"), path
            assert re.search(rf">{state}</span>", page) is not None, (path, name, state)
            is_alone = path == f"{own}/freeze"
            assert ("Frozen agent:" in page and "because" in page) is (is_alone and name == "home"), (path, name)
            is_page = name == "session"
            assert (f'/sessions/{session}/freeze"' in page) is (is_page and is_running), (path, name)


async def test_a_session_is_idle_soon_after_its_last_write(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(name="price-bot")
    session = (await agent.write("POST", "/notes", {"id": 1})).session_id
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn) as own:
        await own.execute("UPDATE journal_sessions SET last_seen_at = now() - interval '1 minute'")
    assert await list_by_status(bench, "active") == [session]
    for page in (await read_pages(bench, session, agent.id)).values():
        assert ("data-running" in page, "1 running now" in page) == (False, False)
        assert re.search(r">idle</span>", page) is not None
