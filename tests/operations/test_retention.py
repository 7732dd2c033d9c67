"""Retention: the journal is pruned exactly, nothing that is needed goes, and no other work on it is delayed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.app import build_registry
from basewarden.core.secret import Secret
from basewarden.db import Database, Listener, Pruner
from basewarden.db.pruning import connect_alone
from basewarden.errors import Unavailable
from basewarden.jobs import Jobs
from basewarden.journal import (
    Image,
    Recorded,
    Recorder,
    RowChange,
    SessionCaller,
    WriteEntry,
    ensure_partitions,
    list_journal_pruners,
)
from basewarden.journal.pruning import queries as pruning_queries
from basewarden.journal.pruning import service as pruning
from basewarden.journal.pruning.service import expire_idle
from basewarden.operations.retention import RETENTION, Retention
from basewarden.settings import Settings
from basewarden.undo import queries as undo_queries
from basewarden.undo.recorded_writes import read_writes
from benchmarks.old_journal import Shape, count_journal, fill, make_connection, make_months
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.bench import OwnWorkshop
from tests.fixtures.waiting import wait_until
from tests.flows.test_commands import run_command

KEEP = timedelta(days=90)
CRON = "/api/cron/retention"
SECRET = "a secret that only the scheduler has"
NONE_LEFT = {
    "journal_mutations": 0,
    "journal_writes": 0,
    "journal_sessions": 0,
    "journal_refusals": 0,
    "journal_interventions": 0,
}
CHECKOUT = Path(__file__).parents[2]
Row = dict[str, Any]


@dataclass
class FilledJournal:
    """Our database, with a connection to hang old sessions on; `admin` looks past everybody's back."""

    dsn: str
    database: Database
    admin: psycopg.AsyncConnection[Row]
    connection_id: UUID

    async def fill(self, sessions: int = 1, writes: int = 2, rows: int = 3, days: float = 120) -> list[UUID]:
        return list(await fill(self.admin, self.connection_id, Shape(sessions, writes, rows, days)))

    async def rows(self, query: str, *values: Any) -> list[Row]:
        return await (await self.admin.execute(query.encode(), values or None)).fetchall()

    async def run(self, query: str, *values: Any) -> None:
        await self.admin.execute(query.encode(), values or None)

    async def counts(self) -> dict[str, int]:
        counts = await count_journal(self.admin)
        for table in ("journal_refusals", "journal_interventions"):
            (found,) = await self.rows(f"SELECT count(*) AS n FROM {table}")
            counts[table] = found["n"]
        return counts

    async def sessions(self) -> set[UUID]:
        return {row["id"] for row in await self.rows("SELECT id FROM journal_sessions")}

    async def months(self) -> set[str]:
        query = "SELECT inhrelid::regclass::text AS n FROM pg_inherits WHERE inhparent = 'journal_mutations'::regclass"
        return {row["n"] for row in await self.rows(query)}

    async def month_of(self, session: UUID) -> str:
        query = "SELECT DISTINCT tableoid::regclass::text AS n FROM journal_mutations WHERE session_id = %s"
        ((name,),) = [tuple(row.values()) for row in await self.rows(query, session)]
        return str(name)

    async def loose(self) -> set[str]:
        query = "SELECT relname AS n FROM pg_class WHERE relname ~ '^journal_mutations_[0-9_]+$' AND NOT relispartition"
        return {row["n"] for row in await self.rows(query)}

    def retention(self, batch: int = 100) -> Retention:
        return Retention(self.database, Jobs(self.database), list_journal_pruners(KEEP), batch=batch)

    async def undo(self, session: UUID, *, days: float, state: str = "done") -> UUID:
        """An undo of it, so many days ago."""
        (undo,) = await self.fill(writes=1, rows=1, days=days)
        change = "UPDATE journal_sessions SET kind = 'undo', undo_of = %s, undo_state = %s WHERE id = %s"
        await self.run(change, session, state, undo)
        return undo


@pytest.fixture
async def archive(app_database: str) -> AsyncIterator[FilledJournal]:
    database = Database(Secret(app_database))
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as admin:
        async with database.unit_of_work() as unit:
            await ensure_partitions(unit)
        yield FilledJournal(app_database, database, admin, await make_connection(admin))
    await database.close()


@pytest.fixture
async def recorder(archive: FilledJournal) -> AsyncIterator[Recorder]:
    listener = Listener(Secret(archive.dsn))
    recorder = Recorder(Secret(archive.dsn), listener)
    await listener.start()
    await recorder.start()
    yield recorder
    await recorder.stop()
    await listener.stop()


def make_entry(archive: FilledJournal, label: str | None = None) -> WriteEntry:
    image = Image({"id": "1"}, b'{"id":1}')
    caller = SessionCaller(archive.connection_id, "agent", UUID(int=7), "robot", label)
    change = RowChange("public", "t", "insert", ("id",), None, image)
    return WriteEntry(caller, 1, "insert", "public", "t", "POST /t", (change,))


async def age(archive: FilledJournal, session: UUID, days: float) -> None:
    change = "UPDATE journal_sessions SET last_seen_at = now() - make_interval(secs => 86400 * %s) WHERE id = %s"
    await archive.run(change, days, session)


async def test_what_is_older_goes_and_what_is_younger_stays(archive: FilledJournal) -> None:
    await archive.fill(sessions=20, days=200)
    await archive.fill(sessions=10, days=90.01)
    young = {*await archive.fill(sessions=10, days=89.9), *await archive.fill(sessions=5, days=0)}
    assert await archive.retention().run() == {
        "journal_mutations": 180,
        "journal_writes": 60,
        "journal_sessions": 30,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.sessions() == young
    assert await archive.counts() == {
        "journal_mutations": 90,
        "journal_writes": 30,
        "journal_sessions": 15,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.retention().run() == NONE_LEFT


async def test_past_months_are_dropped_whole_and_the_others_stay(archive: FilledJournal) -> None:
    old = await archive.fill(sessions=3, days=200)
    month = await archive.month_of(old[0])
    ahead = await archive.months() - set(await make_months(archive.admin, 200))
    await archive.retention().run()
    left = await archive.months()
    assert month not in left
    assert not await archive.loose()
    assert ahead <= left
    assert set(await make_months(archive.admin, 89)) <= left


_ONE_WRITE = (
    "UPDATE journal_writes SET state = %s WHERE id = (SELECT id FROM journal_writes WHERE session_id = %s LIMIT 1)"
)
NEEDED = {
    "used": "UPDATE journal_sessions SET last_seen_at = now() - interval '89 days' WHERE id = %s",
    "quarantined": "UPDATE journal_sessions SET status = 'quarantined' WHERE id = %s",
    "pending": _ONE_WRITE.replace("%s", "'pending'", 1),
    "unknown": _ONE_WRITE.replace("%s", "'unknown'", 1),
}


@pytest.mark.parametrize("change", NEEDED.values(), ids=NEEDED)
async def test_what_is_needed_stays_whole_and_its_neighbours_go(archive: FilledJournal, change: str) -> None:
    needed, *others = await archive.fill(sessions=6, days=200)
    await archive.run(change, needed)
    month = await archive.month_of(needed)
    pruned = await archive.retention(batch=4).run()
    assert pruned == {
        "journal_mutations": 30,
        "journal_writes": 10,
        "journal_sessions": 5,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.sessions() == {needed}, others
    assert await archive.counts() == {
        "journal_mutations": 6,
        "journal_writes": 2,
        "journal_sessions": 1,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert month in await archive.months()


async def test_aborted_and_undone_sessions_go(archive: FilledJournal) -> None:
    undone, partly, aborted = await archive.fill(sessions=3)
    await archive.run("UPDATE journal_sessions SET status = 'undone' WHERE id = %s", undone)
    await archive.run("UPDATE journal_sessions SET status = 'partly_undone' WHERE id = %s", partly)
    await archive.run("UPDATE journal_writes SET state = 'aborted' WHERE session_id = %s", aborted)
    await archive.retention().run()
    assert await archive.counts() == NONE_LEFT


async def test_a_session_stays_with_its_undo_and_with_the_undo_of_that(archive: FilledJournal) -> None:
    (first,) = await archive.fill(days=200)
    second = await archive.undo(first, days=150)
    third = await archive.undo(second, days=10)
    assert await archive.retention().run() == NONE_LEFT
    assert await archive.sessions() == {first, second, third}
    await age(archive, third, 91)
    assert await archive.retention().run() == {
        "journal_mutations": 8,
        "journal_writes": 4,
        "journal_sessions": 3,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.counts() == NONE_LEFT


async def test_a_session_that_is_being_undone_stays(archive: FilledJournal) -> None:
    (first,) = await archive.fill(days=200)
    running = await archive.undo(first, days=120, state="running")
    assert await archive.retention().run() == NONE_LEFT
    await archive.run("UPDATE journal_sessions SET undo_state = 'failed' WHERE id = %s", running)
    await archive.retention().run()
    assert await archive.counts() == NONE_LEFT


async def test_who_presses_undo_right_now_is_left_in_peace(archive: FilledJournal) -> None:
    busy, idle = await archive.fill(sessions=2)
    async with archive.database.locks.try_hold(undo_queries.name_lock(busy)) as is_held:
        assert is_held
        await archive.retention().run()
        assert await archive.sessions() == {busy}, idle
    async with archive.database.read_only() as unit:
        assert await undo_queries.find_session(unit, archive.connection_id, busy) is not None
    await archive.retention().run()
    assert await archive.counts() == NONE_LEFT


async def test_an_expired_session_cannot_be_undone(archive: FilledJournal) -> None:
    (session,) = await archive.fill()
    assert await expire_idle(archive.database, KEEP) == 1
    async with archive.database.read_only() as unit:
        assert await undo_queries.find_session(unit, archive.connection_id, session) is None


async def test_who_writes_to_a_session_right_now_keeps_it(archive: FilledJournal) -> None:
    busy, _ = await archive.fill(sessions=2)
    async with archive.database.unit_of_work() as unit:
        await undo_queries.lock_chain(unit, busy)
        async with asyncio.timeout(10):
            await archive.retention().run()
        assert await archive.sessions() == {busy}
    await archive.retention().run()
    assert await archive.counts() == NONE_LEFT


async def test_a_run_goes_on_under_its_old_name_in_a_new_session(archive: FilledJournal, recorder: Recorder) -> None:
    first = await recorder.record(make_entry(archive, "nightly"))
    recorder.mark(first.write_id, "committed")
    second = await recorder.record(make_entry(archive, "nightly"))
    recorder.mark(second.write_id, "committed")
    third = await recorder.record(make_entry(archive, "other"))
    assert first.session_id == second.session_id
    await age(archive, first.session_id, 91)
    await expire_idle(archive.database, KEEP)
    again = await recorder.record(make_entry(archive, "nightly"))
    assert again.session_id not in (first.session_id, third.session_id)
    await archive.retention().run()
    assert await archive.sessions() == {again.session_id, third.session_id}
    assert (await recorder.record(make_entry(archive, "nightly"))).session_id == again.session_id


async def test_writes_go_on_and_the_counts_are_exact(archive: FilledJournal, recorder: Recorder) -> None:
    """20,000 rows: whole months, a month with a needed session, and a month that is not past."""
    shapes = [Shape(50, 10, 20, 200), Shape(20, 10, 20, 150), Shape(30, 10, 20, 91)]
    for shape in shapes:
        needed, *_ = await fill(archive.admin, archive.connection_id, shape)
    await archive.run("UPDATE journal_writes SET state = 'unknown' WHERE session_id = %s", needed)
    over = asyncio.Event()

    async def write() -> list[Recorded]:
        made = []
        while not over.is_set():
            made.append(await recorder.record(make_entry(archive)))
        return made

    writing = [asyncio.create_task(write()) for _ in range(4)]
    pruned = await archive.retention(batch=500).run()
    over.set()
    made = [one for many in await asyncio.gather(*writing) for one in many]
    expected = {
        "journal_mutations": 20_000 - 200,
        "journal_writes": 1000 - 10,
        "journal_sessions": 99,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert pruned == expected
    assert len(made) > 100
    assert await archive.counts() == {
        "journal_mutations": 200 + len(made),
        "journal_writes": 10 + len(made),
        "journal_sessions": 2,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }


async def test_two_at_once_end_where_one_would(archive: FilledJournal) -> None:
    await archive.fill(sessions=50, days=91)
    first, second = await asyncio.gather(archive.retention(10).run(), archive.retention(10).run())
    assert sorted([first, second], key=lambda pruned: sum(pruned.values())) == [
        NONE_LEFT,
        {
            "journal_mutations": 300,
            "journal_writes": 100,
            "journal_sessions": 50,
            "journal_refusals": 0,
            "journal_interventions": 0,
        },
    ]
    assert await archive.counts() == NONE_LEFT


async def test_even_without_the_lock_two_at_once_end_where_one_would(archive: FilledJournal) -> None:
    """Should the lock's connection break while its holder goes on."""
    needed, *_ = await archive.fill(sessions=40, days=91)
    await archive.run("UPDATE journal_writes SET state = 'pending' WHERE session_id = %s", needed)

    async def prune() -> dict[str, int]:
        return {one.table: await one.prune(archive.database, KEEP, 10) for one in list_journal_pruners(KEEP)}

    found = await asyncio.gather(*(prune() for _ in range(4)))
    rest = await prune()
    totals = {table: sum(one[table] for one in [*found, rest]) for table in NONE_LEFT}
    assert totals == {
        "journal_mutations": 234,
        "journal_writes": 78,
        "journal_sessions": 39,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.sessions() == {needed}


async def test_a_month_that_is_being_read_waits_for_the_next_run(
    archive: FilledJournal, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is half detached by then; no write has waited for the reader."""
    monkeypatch.setattr(pruning, "MONTH_TRIES", 2)
    (old,) = await archive.fill(days=200)
    month = await archive.month_of(old)
    async with archive.database.snapshot() as reading:
        assert await undo_queries.count_pending_writes(reading, old) == 0
        await read_writes(reading, old, 10, budget=2**30)
        pruning_now = asyncio.create_task(archive.retention().run())
        while not pruning_now.done():
            async with asyncio.timeout(10):
                await recorder.record(make_entry(archive))
        await pruning_now
        assert month in await archive.months() | await archive.loose()
    await archive.retention().run()
    assert month not in await archive.months() | await archive.loose()
    assert old not in await archive.sessions()


async def test_a_month_left_half_off_is_finished(archive: FilledJournal) -> None:
    """Killed between the two halves of taking it off, or right after."""
    pending, loose, kept = [(await archive.fill(days=days))[0] for days in (200, 260, 320)]
    months = [await archive.month_of(one) for one in (pending, loose, kept)]
    await expire_idle(archive.database, KEEP)
    async with connect_alone(archive.database) as connection:
        for month in months[:2]:
            await pruning_queries.mark_for_drop(connection, month)
        await pruning_queries.detach_month(connection, months[1])
        await archive.run(f"ALTER TABLE journal_mutations DETACH PARTITION {months[2]}")
    async with archive.database.snapshot() as reading:
        await read_writes(reading, pending, 10, budget=2**30)
        await _cut_off_while_detaching(archive, months[0])
    half_off = await archive.rows("SELECT inhrelid::regclass::text AS n FROM pg_inherits WHERE inhdetachpending")
    assert half_off == [{"n": months[0]}]
    assert await archive.loose() == {months[1], months[2]}
    assert (await archive.retention().run())["journal_mutations"] == 12
    assert await archive.loose() == {months[2]}, "an operator's own archive is not ours to drop"
    assert not await archive.months() & set(months)


async def _cut_off_while_detaching(archive: FilledJournal, month: str) -> None:
    async with connect_alone(archive.database) as connection:
        detaching = asyncio.create_task(pruning_queries.detach_month(connection, month))
        await wait_until(
            lambda: archive.rows("SELECT FROM pg_inherits WHERE inhdetachpending"), "the partition to be detached"
        )
        await archive.run("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            await detaching


async def test_kill_9_in_the_middle_and_the_next_run_finishes(archive: FilledJournal) -> None:
    needed, *_ = await archive.fill(sessions=40, writes=10, rows=10, days=91)
    await archive.run("UPDATE journal_writes SET state = 'pending' WHERE session_id = %s", needed)
    before = (await archive.counts())["journal_mutations"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("pruning_process.py")),
        env={"DATABASE_URL": archive.dsn, "PYTHONPATH": str(CHECKOUT / "src")},
    )
    await wait_until(
        archive.counts,
        "the first deleted rows",
        matches=lambda counts: counts["journal_mutations"] != before or process.returncode is not None,
        seconds=60,
    )
    assert process.returncode is None
    process.kill()
    await process.wait()
    assert 100 < (await archive.counts())["journal_mutations"] < before
    await wait_until(  # the server may not have noticed yet that the other one is gone
        archive.retention().run, "a run that deletes", matches=lambda deleted: any(deleted.values()), seconds=20
    )
    assert await archive.counts() == {
        "journal_mutations": 100,
        "journal_writes": 10,
        "journal_sessions": 1,
        "journal_refusals": 0,
        "journal_interventions": 0,
    }
    assert await archive.sessions() == {needed}


async def test_one_that_fails_keeps_no_other_from_its_work(archive: FilledJournal) -> None:
    await archive.fill(sessions=2)

    async def fail(_: Database, _keep: timedelta, _batch: int) -> int:
        raise Unavailable

    pruners = (Pruner("users", KEEP, fail), *list_journal_pruners(KEEP))
    with pytest.raises(Unavailable):
        await Retention(archive.database, Jobs(archive.database), pruners).run()
    assert await archive.counts() == NONE_LEFT


@pytest.fixture
async def kept(serve: Serve) -> ServedProduct:
    return await serve({"cron_secret": Secret(SECRET)})


async def call(product: ServedProduct, given: str | bytes | None = f"Bearer {SECRET}") -> httpx.Response:
    headers = None if given is None else [(b"authorization", given if isinstance(given, bytes) else given.encode())]
    return await (await product.client()).post(CRON, headers=headers)


async def test_a_scheduler_asks(kept: ServedProduct, archive: FilledJournal) -> None:
    await archive.fill(sessions=4)
    answer = await call(kept)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"pruned", "durationMs"}
    gone = {table: rows for table, rows in body["pruned"].items() if rows}
    assert gone == {"journal_mutations": 24, "journal_writes": 8, "journal_sessions": 4}
    tables = {pruner.table for pruner in kept.registry.get(Retention)._pruners}
    assert set(body["pruned"]) == tables > {"letters", "signin_sessions", "users"}, tables
    assert isinstance(body["durationMs"], int)
    assert (await call(kept)).json()["pruned"] == dict.fromkeys(tables, 0)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        SECRET,
        f"Basic {SECRET}",
        b"Bearer \xff\xfe",
        f"Bearer {'x' * 8000}",
    ],
)
async def test_no_other_caller_prunes(kept: ServedProduct, archive: FilledJournal, given: str | bytes | None) -> None:
    await archive.fill()
    answer = await call(kept, given)
    assert answer.status_code == 401, answer.text
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert (await archive.counts())["journal_sessions"] == 1


async def test_a_person_is_no_scheduler(kept: ServedProduct) -> None:
    person = await kept.sign_up("owner@example.com")
    assert (await person.post(CRON)).status_code == 401
    assert (await person.get(CRON)).status_code == 405


@pytest.mark.parametrize("secret", [None, Secret("")], ids=["unset", "empty"])
async def test_without_a_secret_there_is_no_scheduler(serve: Serve, secret: Secret | None) -> None:
    product = await serve({"cron_secret": secret})
    for given in (None, "Bearer", f"Bearer {SECRET}"):
        assert (await call(product, given)).status_code == 503


async def test_it_is_a_daily_job_of_every_process(settings: Settings) -> None:
    app = build_registry(settings).get(Jobs)._app
    ((task, cron),) = [
        (one.task.name, one.cron) for one in app.periodic_registry.periodic_tasks.values() if one.task.name == RETENTION
    ]
    assert (task, cron) == (RETENTION, "17 3 * * *")


async def test_an_operator_asks_in_a_terminal(product: ServedProduct, archive: FilledJournal) -> None:
    await archive.fill(sessions=2)
    code, out, err = await run_command(product, "retention")
    assert code == 0, err
    deleted = [line for line in out.splitlines() if not line.endswith(": 0 rows")]
    assert deleted == ["journal_mutations: 12 rows", "journal_writes: 4 rows", "journal_sessions: 2 rows"]
    assert await archive.counts() == NONE_LEFT


async def test_a_session_that_is_being_pruned_is_not_visible(own_workshop: OwnWorkshop) -> None:
    bench = await (await own_workshop.open()).bench("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    agent = await bench.agent()
    written = await agent.write("POST", "/notes", {"id": 1, "body": "a"})
    path = f"/api/connections/{bench.connection_id}/sessions/{written.session_id}"
    database = bench.product.registry.get(Database)
    async with await psycopg.AsyncConnection.connect(
        bench.product.settings.database_url.reveal(), autocommit=True
    ) as admin:
        await admin.execute("UPDATE journal_sessions SET last_seen_at = now() - interval '91 days'")
    assert await expire_idle(database, KEEP) == 1
    assert await bench.sessions() == []
    assert (await bench.person.get(path)).status_code == 404
    for mode in ("preview", "apply"):
        assert (await bench.person.post(f"{path}/undo", json={"mode": mode})).status_code == 404
    assert (await bench.person.get(f"/c/{bench.connection_id}/sessions/{written.session_id}")).status_code == 404
