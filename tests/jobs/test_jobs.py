"""The queue on a real PostgreSQL: what is asked for runs, once, later, again, elsewhere."""

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from sqlalchemy import text

from basewarden.core.logs import configure_logs
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.jobs import (
    Jobs,
    JobTiming,
    RetryPolicy,
    count_failed,
    count_waiting,
    find_oldest_waiting_age,
    list_failed,
)
from basewarden.jobs.queries import delete_ended_jobs, free_stalled_jobs
from tests.fixtures.waiting import wait_until

NAME = "test.work"
QUICK = JobTiming(
    poll_seconds=0.05, heartbeat_seconds=0.1, silent_seconds=1.0, reconnect_seconds=0.05, stop_seconds=0.5
)
PATIENT = JobTiming(poll_seconds=60.0)
SOON = RetryPolicy(attempts=3, first=timedelta(seconds=0.05), factor=2)
ONCE = RetryPolicy(attempts=1)
WAIT_SECONDS = 30
CHECKOUT = Path(__file__).parents[2]


class Trouble(Exception):
    pass


@dataclass
class Work:
    """A handler that notes what it was given; `trouble` raises for the first so many runs."""

    trouble: int = 0
    done: list[Mapping[str, Any]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, arguments: Mapping[str, Any]) -> None:
        async with self.changed:
            self.done.append(dict(arguments))
            self.at.append(asyncio.get_running_loop().time())
            self.changed.notify_all()
        if len(self.done) <= self.trouble:
            raise Trouble(f"with {arguments}")

    async def wait(self, count: int = 1, seconds: float = WAIT_SECONDS) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.done) >= count)


Hire = Callable[..., Any]


@pytest.fixture
async def database(app_database: str) -> AsyncIterator[Database]:
    database = Database(Secret(app_database))
    yield database
    await database.close()


@pytest.fixture
async def hire(database: Database) -> AsyncIterator[Hire]:
    """Starts what one more process would have: jobs with this handler."""
    async with AsyncExitStack() as stack:

        async def start(handler: Any, timing: JobTiming = QUICK, retry: RetryPolicy = SOON, **periodic: Any) -> Jobs:
            jobs = Jobs(database, timing)
            jobs.register(NAME, handler, retry=retry)
            for cron, tick in periodic.items():
                jobs.register_periodic("test.tick", cron.replace("_", " ").replace("x", "*"), tick, retry=ONCE)
            await jobs.start()
            stack.push_async_callback(jobs.stop)
            return jobs

        yield start


async def ask(jobs: Jobs, database: Database, count: int = 1, **options: Any) -> list[bool]:
    async with database.unit_of_work() as unit:
        return [await jobs.enqueue(unit, NAME, {"number": number}, **options) for number in range(count)]


async def ask_and_fail(jobs: Jobs, database: Database) -> None:
    async with database.unit_of_work() as unit:
        await jobs.enqueue(unit, NAME, {"number": "none"})
        raise Trouble


async def count_jobs(database: Database) -> int:
    async with database.read_only() as session:
        return int(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


async def wait_until_gone(database: Database) -> None:
    await wait_until(
        lambda: count_jobs(database), "the jobs to be gone", matches=lambda found: not found, seconds=WAIT_SECONDS
    )


async def wait_until_failed(database: Database) -> None:
    await wait_until(lambda: count_now(database, count_failed), "a failed job", seconds=WAIT_SECONDS)


async def count_now(database: Database, count: Any) -> Any:
    async with database.read_only() as session:
        return await count(session)


async def listening(database: Database) -> None:
    """Until a worker has its LISTEN: from then on nothing depends on looking."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'basewarden jobs' AND query LIKE 'LISTEN%'"
    )
    await wait_until(
        lambda: count_now(database, lambda session: session.scalar(query)),
        "a worker that listens",
        seconds=WAIT_SECONDS,
    )


async def test_a_committed_job_runs_within_a_second_and_leaves_nothing(hire: Hire, database: Database) -> None:
    work = Work()
    jobs = await hire(work, PATIENT)
    await listening(database)
    assert await ask(jobs, database) == [True]
    await work.wait(seconds=1)
    assert work.done == [{"number": 0}]
    await wait_until_gone(database)


async def test_a_rolled_back_job_never_was(hire: Hire, database: Database) -> None:
    work = Work()
    jobs = await hire(work)
    with pytest.raises(Trouble):
        await ask_and_fail(jobs, database)
    await ask(jobs, database)
    await work.wait()
    await wait_until_gone(database)
    assert work.done == [{"number": 0}]


async def test_a_job_that_waits_with_the_same_key_is_enough(database: Database) -> None:
    jobs = Jobs(database, QUICK)
    jobs.register(NAME, Work())
    assert await ask(jobs, database, 3, key="same") == [True, False, False]
    assert await ask(jobs, database, 2, key="other") == [True, False]
    assert await ask(jobs, database, 2) == [True, True]
    assert await count_jobs(database) == 4


async def test_two_requests_at_once_with_the_same_key_make_one_job(database: Database) -> None:
    jobs = Jobs(database, QUICK)
    jobs.register(NAME, Work())
    answers = await asyncio.gather(*(ask(jobs, database, key="same") for _ in range(8)))
    assert Counter(answer for (answer,) in answers) == {True: 1, False: 7}
    assert await count_jobs(database) == 1


async def test_a_key_is_free_again_once_its_job_runs(hire: Hire, database: Database) -> None:
    work, go_on = Work(), asyncio.Event()

    async def run(arguments: Mapping[str, Any]) -> None:
        await work(arguments)
        await go_on.wait()

    jobs = await hire(run)
    await ask(jobs, database, key="same")
    await work.wait()
    assert await ask(jobs, database, key="same") == [True]
    go_on.set()
    await work.wait(2)
    await wait_until_gone(database)


async def test_a_job_for_later_runs_later(hire: Hire, database: Database) -> None:
    work = Work()
    jobs = await hire(work)
    began = asyncio.get_running_loop().time()
    await ask(jobs, database, after=timedelta(seconds=1.5))
    assert await count_now(database, count_waiting) == 0
    await work.wait()
    assert work.at[0] - began >= 1.5


async def test_a_job_in_trouble_is_tried_again_and_waits_longer_each_time(hire: Hire, database: Database) -> None:
    work = Work(trouble=2)
    jobs = await hire(work, retry=RetryPolicy(attempts=3, first=timedelta(seconds=0.2), factor=3))
    await ask(jobs, database)
    await work.wait(3)
    await wait_until_gone(database)
    assert work.at[1] - work.at[0] >= 0.2 * 0.8
    assert work.at[2] - work.at[1] >= 0.6 * 0.8


async def test_a_job_that_fails_for_ever_is_seen(hire: Hire, database: Database) -> None:
    work = Work(trouble=99)
    jobs = await hire(work)
    await ask(jobs, database)
    await wait_until_failed(database)
    async with database.read_only() as session:
        (failed,) = await list_failed(session)
    assert (failed.name, failed.attempts, len(work.done)) == (NAME, 3, 3)
    assert await count_now(database, find_oldest_waiting_age) is None
    async with database.unit_of_work() as unit:
        assert await delete_ended_jobs(unit, timedelta(hours=1)) == 0
        assert await delete_ended_jobs(unit, timedelta(0)) == 1


async def test_what_waits_is_counted(database: Database) -> None:
    jobs = Jobs(database, QUICK)
    jobs.register(NAME, Work())
    assert await count_now(database, find_oldest_waiting_age) is None
    await ask(jobs, database, 3)
    await ask(jobs, database, 2, after=timedelta(hours=1))
    assert await count_now(database, count_waiting) == 3
    age = await count_now(database, find_oldest_waiting_age)
    assert timedelta(0) <= age < timedelta(seconds=WAIT_SECONDS)


@pytest.fixture
def logs_as_they_were() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("logs_as_they_were")
async def test_no_argument_reaches_a_log(
    hire: Hire, database: Database, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    configure_logs("debug")
    work = Work(trouble=1)

    async def run(arguments: Mapping[str, Any]) -> None:
        await work({})
        raise Trouble

    jobs = await hire(run)
    async with database.unit_of_work() as unit:
        await jobs.enqueue(unit, NAME, {"canary": "tweet-tweet"})
    await wait_until_failed(database)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "job.failed" in said
    assert "Trouble" in said
    assert "tweet-tweet" not in said
    assert not [record for record in caplog.records if record.name.startswith("procrastinate")]


async def test_two_processes_share_the_work_and_run_each_job_once(hire: Hire, database: Database) -> None:
    here, there = Work(), Work()
    meet = asyncio.Barrier(2)

    def meeting(work: Work) -> Any:
        async def run(arguments: Mapping[str, Any]) -> None:
            await work(arguments)
            if len(work.done) == 1:  # no worker does all the work alone
                await meet.wait()

        return run

    jobs = await hire(meeting(here))
    await hire(meeting(there))
    await ask(jobs, database, 60)
    await wait_until_gone(database)
    assert sorted(one["number"] for one in here.done + there.done) == list(range(60))
    assert here.done
    assert there.done


async def test_a_periodic_job_runs_once_a_tick_over_all_processes(hire: Hire, database: Database) -> None:
    """It fails, so that its jobs are kept: each has the tick that it is of."""
    runs = 0

    async def tick() -> None:
        nonlocal runs
        runs += 1
        raise Trouble

    async def list_ticks() -> list[str]:
        async with database.read_only() as session:
            query = text("SELECT args ->> 'timestamp' FROM procrastinate_jobs WHERE status = 'failed'")
            return list(await session.scalars(query))

    hired = [await hire(Work(), x_x_x_x_x_x=tick) for _ in range(3)]
    await wait_until(list_ticks, "ticks", matches=lambda found: len(found) >= 3, seconds=WAIT_SECONDS)
    for jobs in hired:
        await jobs.stop()
    ticks = await list_ticks()
    assert len(set(ticks)) == len(ticks) == runs


async def test_a_stop_lets_jobs_end_and_cuts_off_only_what_takes_too_long(hire: Hire, database: Database) -> None:
    short, long = Work(), Work()
    hang = asyncio.Event()

    async def run(arguments: Mapping[str, Any]) -> None:
        if arguments["number"] == 0:
            await asyncio.sleep(0.2)  # work that takes its time
            await short(arguments)
        else:
            await long(arguments)
            await hang.wait()

    jobs = await hire(run, retry=RetryPolicy(attempts=1))  # being cut off is no failure
    await ask(jobs, database, 2)
    await long.wait()
    async with asyncio.timeout(WAIT_SECONDS):
        await jobs.stop()
    assert short.done == [{"number": 0}]
    again = Work()
    await hire(again)
    await again.wait()
    await wait_until_gone(database)
    assert again.done == [{"number": 1}]


async def test_a_job_whose_process_was_killed_runs_again(hire: Hire, database: Database, app_database: str) -> None:
    environment = {**os.environ, "DATABASE_URL": app_database, "PYTHONPATH": str(CHECKOUT / "src")}
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("worker_process.py")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    asking = Jobs(database, QUICK)
    asking.register(NAME, Work())
    await ask(asking, database)
    assert killed.stdout is not None
    async with asyncio.timeout(30):
        assert await killed.stdout.readline() == b"taken\n"
    work = Work()
    await hire(work)
    killed.kill()
    await killed.wait()
    await work.wait()
    await wait_until_gone(database)
    assert work.done == [{"number": 0}]


async def test_a_job_that_kills_every_process_fails_in_the_end(hire: Hire, database: Database) -> None:
    asking = Jobs(database, QUICK)
    asking.register(NAME, Work())
    await ask(asking, database)
    async with database.unit_of_work() as unit:
        await unit.execute(text("UPDATE procrastinate_jobs SET status = 'doing', attempts = 2"))
    work = Work()
    await hire(work)
    await wait_until_failed(database)
    assert work.done == []


async def test_processes_that_free_at_the_same_time_free_each_job_once(database: Database) -> None:
    asking = Jobs(database, QUICK)
    asking.register(NAME, Work())
    await ask(asking, database, 50)
    async with database.unit_of_work() as unit:
        await unit.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))

    async with database.unit_of_work() as one, database.unit_of_work() as other, asyncio.timeout(WAIT_SECONDS):
        assert await free_stalled_jobs(one, {NAME: 3}, timedelta(seconds=1)) == 50
        assert await free_stalled_jobs(other, {NAME: 3}, timedelta(seconds=1)) == 0
    async with database.read_only() as session:
        states = await session.execute(
            text("SELECT status::text, attempts, count(*) FROM procrastinate_jobs GROUP BY 1, 2")
        )
        assert [tuple(row) for row in states] == [("todo", 1, 50)]


async def test_what_a_living_worker_runs_is_left_to_it(hire: Hire, database: Database) -> None:
    work, hang = Work(), asyncio.Event()

    async def run(arguments: Mapping[str, Any]) -> None:
        await work(arguments)
        await hang.wait()

    jobs = await hire(run)
    await hire(run)
    await ask(jobs, database)
    await work.wait()
    await asyncio.sleep(QUICK.silent_seconds * 1.5)  # nothing must happen: there is no event to wait for
    assert len(work.done) == 1
    hang.set()
    await wait_until_gone(database)


REFUSE_TO_END = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def test_a_job_whose_end_cannot_be_stored_does_not_stay_taken(
    hire: Hire, database: Database, app_database: str
) -> None:
    work = Work()
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True) as admin:
        await admin.execute(REFUSE_TO_END)
        jobs = await hire(work)
        await ask(jobs, database)
        await work.wait(2)
        await admin.execute("DROP TRIGGER refuse ON procrastinate_jobs")
    await wait_until_gone(database)


@pytest.mark.parametrize("seconds", [0.1, 1.0])  # shorter and longer than a worker waits
async def test_the_database_may_go_away_and_come_back(
    hire: Hire, database: Database, app_database: str, seconds: float
) -> None:
    work, go_on = Work(), asyncio.Event()

    async def run(arguments: Mapping[str, Any]) -> None:
        await work(arguments)
        await go_on.wait()

    jobs = await hire(run)
    await ask(jobs, database)
    await work.wait()
    await set_reachable(app_database, reachable=False)
    go_on.set()  # ends while it cannot say so
    await asyncio.sleep(seconds)  # an outage has a length
    await set_reachable(app_database, reachable=True)
    async with database.unit_of_work() as unit:
        await jobs.enqueue(unit, NAME, {"number": "after"})
    await wait_until_gone(database)
    assert {one["number"] for one in work.done} == {0, "after"}


async def set_reachable(dsn: str, *, reachable: bool) -> None:
    name = dsn.rpartition("/")[2]
    elsewhere = dsn.removesuffix(name) + "postgres"
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as admin:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        await admin.execute(allow.format(sql.Identifier(name), sql.Literal(reachable)))
        if not reachable:
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_a_database_that_is_away_does_not_hold_up_the_start(
    hire: Hire, database: Database, app_database: str
) -> None:
    await set_reachable(app_database, reachable=False)
    work = Work()
    async with asyncio.timeout(10):
        jobs = await hire(work)
    await asyncio.sleep(0.2)  # an outage has a length
    await set_reachable(app_database, reachable=True)
    await ask(jobs, database)
    await work.wait()


async def test_a_job_of_unknown_kind_is_left_to_other_processes(hire: Hire, database: Database) -> None:
    newer = Jobs(database, QUICK)
    newer.register("test.newer", Work())
    async with database.unit_of_work() as unit:
        await newer.enqueue(unit, "test.newer")
    work = Work()
    jobs = await hire(work)
    await ask(jobs, database)
    await work.wait()
    await wait_until(
        lambda: count_jobs(database), "the known job to be gone", matches=lambda found: found <= 1, seconds=WAIT_SECONDS
    )
    assert await count_now(database, count_waiting) == 1


async def test_a_handler_that_cancels_itself_is_in_trouble_like_any_other(hire: Hire, database: Database) -> None:
    async def run(_: Mapping[str, Any]) -> None:
        raise asyncio.CancelledError

    jobs = await hire(run)
    await ask(jobs, database)
    await wait_until(
        lambda: count_now(database, lambda session: session.scalar(ENDED)), "a job that ended", seconds=WAIT_SECONDS
    )


ENDED = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('failed', 'aborted')")


async def test_misuse_raises_where_it_happens(database: Database) -> None:
    jobs = Jobs(database, QUICK)
    with pytest.raises(ValueError, match="at most 40"):
        jobs.register("x" * 41, Work())
    with pytest.raises(LookupError, match=r"test\.unknown"):
        async with database.unit_of_work() as unit:
            await jobs.enqueue(unit, "test.unknown")


def test_the_wait_grows_to_its_longest_and_has_an_end() -> None:
    policy = RetryPolicy(attempts=5, first=timedelta(seconds=1), factor=10, longest=timedelta(seconds=50))
    waits = [policy.find_wait(tried) for tried in (1, 2, 3, 4, 5)]
    assert waits[4] is None
    for wait, about in zip(waits[:4], (1, 10, 50, 50), strict=True):
        assert wait is not None
        assert about * 0.8 <= wait.total_seconds() <= about * 1.2
    assert len({policy.find_wait(1) for _ in range(9)}) > 1
    assert RetryPolicy(attempts=10**6).find_wait(10**5) is not None
