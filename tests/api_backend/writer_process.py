"""Writes over a project's API until it is killed: `python -m tests.api_backend.writer_process`, with its task on stdin."""

import asyncio
import json
import random
import sys
from typing import Any, cast
from uuid import UUID

import httpx
import psycopg

from basewarden.core.secret import Secret
from basewarden.db import Listener
from basewarden.journal import Recorder
from tests.api_backend.api_bench import ApiBench, WatchedUpstream, reach_project
from tests.fixtures.journal import JournalDatabase

WORKERS = 4
ROWS_OF_A_WORKER = 20
TABLES = """
    CREATE TABLE t (id int PRIMARY KEY, x text, n numeric, at timestamptz DEFAULT '2026-01-01 00:00:00+00');
    CREATE TABLE u (id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE, ok bool);
    INSERT INTO t SELECT n, 'first', n FROM generate_series(0, 79) n;
    INSERT INTO u SELECT n, n, n % 2 = 0 FROM generate_series(0, 79) n;
"""


async def main(task: dict[str, Any]) -> None:
    listener = Listener(Secret(task["journal"]))
    recorder = Recorder(Secret(task["journal"]), listener)
    await recorder.start()
    journal = JournalDatabase(task["journal"], cast(Any, None), UUID(task["connection"]), cast(Any, None))
    async with (
        await psycopg.AsyncConnection.connect(task["project"]) as admin,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{task['port']}") as client,
        reach_project(task["port"]) as project,
        asyncio.TaskGroup() as tasks,
    ):
        upstream = WatchedUpstream(project.upstream, cast(Any, admin))
        bench = ApiBench(
            task["project"], cast(Any, admin), client, upstream, journal, recorder, agent=UUID(task["agent"])
        )
        for worker in range(WORKERS):
            tasks.create_task(work(bench, worker, random.Random(f"{task['seed']}/{worker}")))


async def work(bench: ApiBench, worker: int, chance: random.Random) -> None:
    """Each worker keeps to rows of its own. The name of the first selected column tells one request from all others."""
    count = 0
    while True:
        count += 1
        ids = sorted({worker * ROWS_OF_A_WORKER + chance.randrange(ROWS_OF_A_WORKER) for _ in range(3)})
        named, mark = ",".join(map(str, ids)), f"select=w{worker}_{count}_{chance.randrange(10**6)}:id"
        rows = [{"id": number, "x": f"x{chance.random()}", "n": count} for number in ids]
        merge = "resolution=merge-duplicates,return=representation"
        match chance.randrange(5):
            case 0:
                await bench.write("PATCH", f"/t?id=in.({named})&{mark}", {"x": f"p{chance.random()}"})
            case 1:
                await bench.write("DELETE", f"/t?id=eq.{ids[0]}&{mark}")
            case 2:
                await bench.write("POST", f"/t?{mark}", rows, prefer=merge)
            case 3:
                await bench.write("PATCH", f"/u?t_id=in.({named})&{mark}", {"ok": None})
            case _:
                await bench.write("POST", f"/u?{mark}", {"id": ids[0], "t_id": ids[0], "ok": True}, prefer=merge)
        print(mark, flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
