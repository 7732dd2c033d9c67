"""Kill, start again, and at the end compare everything with the truth."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from basewarden.demo.shop.digest import digest_tables
from tests.chaos.audit import Change, list_shared_rows, read_journal, read_truth
from tests.chaos.load import Office, Outcomes, write_until_gone
from tests.chaos.serving import Deployment, Serving
from tests.chaos.worlds import ChaosWorld

LONGEST_ROUND_SECONDS = 0.8
SETTLE_SECONDS = 60
COUNT_PENDING = "SELECT count(*) FROM journal_writes WHERE state NOT IN ('committed', 'aborted')"


@dataclass
class KillReport:
    rounds: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unknown: int = 0
    changes: int = 0

    def __str__(self) -> str:
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.rounds} kills; answers: {answers}; {self.unknown} requests lost their answer; "
            f"{self.changes} committed row changes, each journaled once"
        )


async def run_rounds(
    deployment: Deployment, office: Office, world: ChaosWorld, rounds: int, seed: int, serving: Serving
) -> tuple[KillReport, Serving]:
    """Each round is killed at a random moment of its load. Returns what serves in the end."""
    report = KillReport()
    chance = random.Random(seed)
    for number in range(rounds):
        outcomes = Outcomes()
        load = asyncio.create_task(write_until_gone(deployment.origin, office, world, seed + number, outcomes))
        await outcomes.first.wait()
        await asyncio.sleep(chance.uniform(0, LONGEST_ROUND_SECONDS))  # the moment is to be any, not a chosen one
        await serving.kill()
        await load
        report.rounds += 1
        report.statuses += outcomes.statuses
        report.unknown += outcomes.unknown
        serving = await Serving.start(deployment)
    return report, serving


async def wait_settled(deployment: Deployment, office: Office) -> None:
    """Looking at a session settles; a killed process's last transactions may still be ending."""
    async with (
        asyncio.timeout(SETTLE_SECONDS),
        await psycopg.AsyncConnection.connect(deployment.database_url, autocommit=True) as own,
    ):
        while (await (await own.execute(COUNT_PENDING)).fetchone()) != (0,):
            for session in await list_sessions(office):
                (await office.person.get(_path(office, session["id"]))).raise_for_status()
            await asyncio.sleep(0.1)


async def compare_with_truth(deployment: Deployment, office: Office, project_dsn: str) -> int:
    """How many row changes were committed; fails on one that is missing in the journal, twice there, or invented."""
    truth = await read_truth(project_dsn)
    journal = await read_journal(deployment.database_url, office.connection_id)
    missing, invented = truth - journal, journal - truth
    assert not missing, f"committed but not journaled: {_first(missing)}"
    assert not invented, f"journaled but never committed, or journaled twice: {_first(invented)}"
    return truth.total()


async def undo_everything(deployment: Deployment, office: Office) -> None:
    """An agent's rows are its own, so no session stands in another's way, though all ran at the same time."""
    shared = await list_shared_rows(deployment.database_url, office.connection_id)
    assert not shared, f"the load is at fault, agents wrote over each other's rows: {shared[:5]}"
    for session in await list_sessions(office):
        if session["kind"] == "undo":
            continue
        answer = await office.person.post(
            f"{_path(office, session['id'])}/undo", json={"mode": "apply", "onConflict": "refuse"}, timeout=120
        )
        assert answer.status_code == 200, answer.text[:2000]


async def digest_world(project_dsn: str) -> dict[str, str]:
    tables = await digest_tables(project_dsn)
    return {table: digest for table, digest in tables.items() if not table.startswith("audit.")}


async def list_sessions(office: Office) -> list[dict[str, Any]]:
    """All of the connection's, the newest first."""
    sessions: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        answer = await office.person.get(f"/api/connections/{office.connection_id}/sessions", params=query)
        answer.raise_for_status()
        page = answer.json()
        sessions += page["sessions"]
        cursor = page["nextCursor"]
        if cursor is None:
            return sessions


def _path(office: Office, session_id: str) -> str:
    return f"/api/connections/{office.connection_id}/sessions/{session_id}"


def _first(changes: Counter[Change]) -> list[Change]:
    return sorted(changes.elements(), key=lambda change: change[0])[:5]
