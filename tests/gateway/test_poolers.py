"""The road through a transaction pooler: no session of ours lasts, and nothing may notice."""

import asyncio
from pathlib import Path

from tests.fixtures.bench import GUEST, Workshop
from tests.fixtures.pgbouncer import run_pgbouncer

_NOTES = f"""
    CREATE TABLE notes (id int PRIMARY KEY, body text, at timestamptz DEFAULT '2026-01-01');
    INSERT INTO notes (id, body) SELECT n, 'note ' || n FROM generate_series(1, 40) n;
    CREATE TABLE tags (note_id int REFERENCES notes ON DELETE CASCADE, tag text, PRIMARY KEY (note_id, tag));
    INSERT INTO tags SELECT n, 'tag' FROM generate_series(1, 40) n;
    GRANT ALL ON notes, tags TO {GUEST};
"""


async def test_reads_writes_and_undo(workshop: Workshop, data_dir: Path) -> None:
    """More at once than the pooler has server connections, by two roles, with a migration in between."""
    bench = await workshop.bench(_NOTES)
    async with run_pgbouncer(bench.dsn, data_dir.parent, "transaction", size=3) as url:
        answer = await bench.person.post("/api/connections", json={"name": "Pooled", "postgresUrl": url})
        assert answer.status_code == 201, answer.text
        pooled = bench.on(answer.json()["id"])
        before = await bench.rows("SELECT * FROM notes ORDER BY id")
        agents = [await pooled.agent(), await pooled.agent(dbRole=GUEST)]

        async def work(number: int) -> None:
            agent = agents[number % 2]
            headers = {"x-basewarden-session": "pooled"}
            note = await agent.http.patch(f"/notes?id=eq.{number}", json={"body": "x"}, headers=headers)
            assert note.status_code == 204, note.text
            found = await agent.http.get(f"/notes?id=eq.{number}&select=body,tags(tag)")
            assert found.json() == [{"body": "x", "tags": [{"tag": "tag"}]}]

        await asyncio.gather(*(work(number) for number in range(1, 31)))
        await bench.run("ALTER TABLE notes ADD COLUMN late int DEFAULT 7")
        shown = await agents[0].http.get("/notes?select=late&id=eq.1")
        assert shown.json() == [{"late": 7}]
        gone = await agents[0].http.delete("/notes?id=eq.40", headers={"x-basewarden-session": "pooled"})
        assert gone.status_code == 204
        for session in await pooled.sessions():
            path = f"/api/connections/{pooled.connection_id}/sessions/{session['id']}/undo"
            undone = await bench.person.post(path, json={"mode": "apply", "onConflict": "refuse"})
            assert undone.status_code == 200, undone.text
        await bench.run("ALTER TABLE notes DROP COLUMN late")
        assert await bench.rows("SELECT * FROM notes ORDER BY id") == before
        assert (await bench.rows("SELECT count(*) AS n FROM tags"))[0]["n"] == 40
        assert (await bench.person.delete(f"/api/connections/{pooled.connection_id}")).is_success
