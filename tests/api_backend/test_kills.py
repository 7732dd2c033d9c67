"""kill -9 while writes are under way over an API: no intent is lost, and nothing is made up."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.api_backend.api_bench import ApiBench
from tests.api_backend.conftest import OpenProject
from tests.api_backend.writer_process import TABLES, WORKERS
from tests.chaos.audit import install_audit
from tests.fixtures.waiting import wait_until

ROUNDS = int(os.environ.get("API_BACKEND_ROUNDS", "2"))
LONGEST_ROUND_SECONDS = 1.0
CHECKOUT = Path(__file__).parents[2]
Change = tuple[str, str, str | None, str | None]


@pytest.mark.slow
async def test_kills_lose_no_intent_and_invent_nothing(open_project: OpenProject) -> None:
    bench = await open_project(TABLES)
    await install_audit(bench.dsn)
    chance = random.Random(20261124)
    for number in range(ROUNDS):
        await run_until_killed(bench, number, chance.uniform(0, LONGEST_ROUND_SECONDS))
    transactions = await read_truth(bench)
    writes = await read_journal(bench)
    assert len(transactions) > 5 * ROUNDS
    left = Counter(map(frozen, transactions))
    for write in writes:
        if write["state"] == "committed" and write["changes"]:
            assert left[frozen(write["changes"])] > 0, f"journaled and never committed: {write}"
            left[frozen(write["changes"])] -= 1
    lost = [dict(changes) for changes, count in left.items() for _ in range(count)]
    open_ends = [write for write in writes if write["state"] in ("pending", "unknown")]
    assert len(lost) <= len(open_ends) <= WORKERS * ROUNDS
    for changes in lost:
        match = next((one for one in open_ends if foretells(one, list(changes))), None)
        assert match is not None, f"committed, and no intent of it: {changes}"
        open_ends.remove(match)


async def run_until_killed(bench: ApiBench, seed: int, seconds: float) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}{os.pathsep}{CHECKOUT}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.api_backend.writer_process"),
        cwd=CHECKOUT,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    task = {
        "journal": bench.journal.dsn,
        "connection": str(bench.journal.connection_id),
        "project": bench.dsn,
        "port": bench.port,
        "agent": str(bench.agent),
        "seed": seed,
    }
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(task).encode() + b"\n")
    assert await asyncio.wait_for(process.stdout.readline(), 60), "the writers wrote nothing"
    await asyncio.sleep(seconds)  # the moment is to be any, not a chosen one
    process.kill()
    await process.communicate()
    await wait_idle(bench)


async def wait_idle(bench: ApiBench) -> None:
    """What the killed process had sent may still be carried out."""
    busy = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()"
    await wait_until(
        lambda: bench.rows(busy),
        "the statements of the killed process to end",
        matches=lambda found: not found,
        seconds=10,
    )
    await asyncio.sleep(0.1)


async def read_truth(bench: ApiBench) -> list[list[Change]]:
    """The changes of each transaction, as ordinary triggers saw them."""
    entries = await bench.rows('SELECT xid, "table", before, after FROM audit.entries ORDER BY id')
    by_transaction: dict[str, list[Change]] = {}
    for entry in entries:
        if entry["before"] != entry["after"]:
            change = make_change(entry["table"], entry["before"], entry["after"])
            by_transaction.setdefault(entry["xid"], []).append(change)
    return list(by_transaction.values())


async def read_journal(bench: ApiBench) -> list[dict[str, Any]]:
    rows = await bench.journal.rows(
        "SELECT w.id, w.state, w.verb, w.summary, m.schema_name || '.' || m.table_name AS name, m.before_exact, m.after_exact"
        " FROM journal_writes w JOIN journal_sessions s ON s.id = w.session_id"
        " LEFT JOIN journal_mutations m ON m.write_id = w.id"
        f" WHERE s.agent_id = '{bench.agent}' AND w.state <> 'aborted' ORDER BY w.id"
    )
    writes: dict[Any, dict[str, Any]] = {}
    for row in rows:
        write = writes.setdefault(row["id"], {**row, "changes": []})
        if row["name"] is not None:
            write["changes"].append(make_change(row["name"], row["before_exact"], row["after_exact"]))
    return list(writes.values())


def make_change(table: str, before: Any, after: Any) -> Change:
    shown = [None if row is None else json.dumps(row, sort_keys=True) for row in (before, after)]
    verb = "insert" if before is None else "delete" if after is None else "update"
    return table, verb, shown[0], shown[1]


def frozen(changes: list[Change]) -> tuple[tuple[Change, int], ...]:
    return tuple(sorted(Counter(changes).items(), key=str))


def foretells(write: dict[str, Any], changes: list[Change]) -> bool:
    """An intent holds the rows as they were; of rows that were not there, the request's own table."""
    images = {before for _, _, before, _ in write["changes"]}
    own = [change for change in changes if change[0] == f"public.{write['summary'].split('?')[0].partition('/')[2]}"]
    return bool(own) and all(before in images for _, verb, before, _ in own if verb != "insert")
