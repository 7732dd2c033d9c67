"""A caller who takes much of the loop's time waits while others are active; no other caller does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from basewarden.core.logs import bind_log_context
from basewarden.web.edge import Edge
from basewarden.web.loop_shares import STRANGER_ALLOWANCE, LoopShares, attach_loop_shares, delay_request
from basewarden.web.stopwatch import Stopwatch, run_timed, weigh_step, weigh_step_cubed
from tests.fixtures.app import make_settings
from tests.web.raw import connected, read_answer
from tests.web.test_protocol import served

Move = Callable[[float], None]


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Lets seconds go by."""
    now = [1000.0]
    monkeypatch.setattr("basewarden.web.loop_shares.time.monotonic", lambda: now[0])

    def go(seconds: float) -> None:
        now[0] += seconds

    return go


def test_a_stranger_waits_for_what_is_beyond_the_share(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("somebody else")
    assert shares.charge("10.0.0.1", STRANGER_ALLOWANCE.burst) == 0
    assert shares.charge("10.0.0.1", 0.004) == pytest.approx(0.004 / STRANGER_ALLOWANCE.share)
    assert shares.charge("10.0.0.2", 0.006) == 0
    move(0.15)
    assert shares.charge("10.0.0.1", 0.0) == pytest.approx(0.004 / STRANGER_ALLOWANCE.share - 0.15)


def test_a_caller_who_asks_one_thing_after_the_other_waits_but_little(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("another caller")
    move(shares.charge("10.0.0.1", 1000.0))
    for _ in range(50):
        shares.note_active("another caller")
        wait = shares.charge("10.0.0.1", 1000.0)
        assert wait == STRANGER_ALLOWANCE.each
        move(wait)


def test_of_many_requests_at_once_each_waits_longer(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("another caller")
    shares.charge("10.0.0.1", 1000.0)
    move(2.0)
    shares.note_active("another caller")
    waits = [shares.charge("10.0.0.1", 1000.0) for _ in range(100)]
    assert waits[:4] == [STRANGER_ALLOWANCE.each * number for number in (1, 2, 3, 4)]
    assert max(waits) <= STRANGER_ALLOWANCE.longest + STRANGER_ALLOWANCE.each


def test_a_lone_caller_never_waits(move: Move) -> None:
    shares = LoopShares()
    for _ in range(100):
        assert shares.charge("10.0.0.1", 1.0) == 0
        admission = shares.enter("agent")
        assert admission.wait == 0
        shares.leave("agent", admission, 1.0)
        move(2.0)


def test_what_was_taken_alone_is_not_owed_later(move: Move) -> None:
    shares = LoopShares()
    for _ in range(100):
        assert shares.charge("10.0.0.1", 0.1) == 0
    shares.note_active("another caller")
    assert shares.charge("10.0.0.1", 0.003) == pytest.approx(0.003 / STRANGER_ALLOWANCE.share)


def test_a_debt_ends(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("another caller")
    shares.charge("10.0.0.1", 1000.0)
    assert shares.charge("10.0.0.1", 0.0) > 0
    move(STRANGER_ALLOWANCE.longest + STRANGER_ALLOWANCE.burst / STRANGER_ALLOWANCE.share)
    shares.note_active("somebody else")
    assert shares.charge("10.0.0.1", 0.0) == 0


def test_who_asks_for_health_never_waits_unless_sent_ahead(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("somebody else")
    assert shares.charge("10.0.0.1", 10.0, "/api/health/live") == 0
    assert shares.charge("10.0.0.1", 10.0, "/api/health/live", is_pipelined=True) > 0
    assert shares.charge("10.0.0.1", 0.0, "/signin") > 0


def test_a_flood_of_health_checks_waits(move: Move) -> None:
    shares = LoopShares()
    shares.note_active("another caller")
    shares.charge("10.0.0.1", 1000.0)
    waits = [shares.charge("10.0.0.1", 0.001, "/api/health") for _ in range(200)]
    assert [wait == 0 for wait in waits] == [number < 100 for number in range(200)]
    assert max(waits) <= 0.5
    assert shares.charge("10.0.0.1", 0.001, "/api/health/live") == 0
    move(1.0)
    assert shares.charge("10.0.0.1", 0.001, "/api/health") == 0


def test_known_callers_begin_one_after_the_other_while_someone_light_is_there(move: Move) -> None:
    shares = LoopShares()
    for _ in range(20):
        shares.leave("heavy", shares.enter("heavy"), 0.1)
    shares.note_active("light")
    waits = [shares.enter("heavy").wait for _ in range(3)]
    assert 0 < waits[0] < waits[1] < waits[2]
    assert shares.enter("light").wait == 0


def test_two_that_take_much_do_not_wait_for_each_other(move: Move) -> None:
    shares = LoopShares()
    for _ in range(50):
        for caller in ("one", "other"):
            shares.leave(caller, shares.enter(caller), 0.05)
    move(2.0)  # when both were last seen to take little
    assert [shares.enter("one").wait, shares.enter("other").wait] == [0, 0]


def test_few_requests_that_take_little_are_measured(move: Move) -> None:
    shares, measured = LoopShares(), {"little": 0, "much": 0}
    for caller, seconds in (("little", 0.0002), ("much", 0.01)):
        for _ in range(1000):
            admission = shares.enter(caller)
            measured[caller] += admission.is_measured
            if admission.is_measured:
                shares.leave(caller, admission, seconds)
    assert measured["much"] == 1000
    assert measured["little"] < 300


async def test_a_delayed_answer_ends_with_its_client() -> None:
    scope: dict[str, Any] = {}
    looks = iter([False, True])
    attach_loop_shares(scope, LoopShares(), is_disconnected=lambda: next(looks))
    async with asyncio.timeout(30):
        await delay_request(scope, 3600)
    assert next(looks, None) is None


async def test_a_stopwatch_counts_work_and_no_kind_of_waiting() -> None:
    watch, caught = Stopwatch(), []

    async def work() -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - as if the process had waited for the processor
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            caught.append(watch.read_within())
            raise

    task = asyncio.create_task(_hold(work(), watch))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(caught) == 1
    assert 0 < watch.cost < 0.2


async def test_a_long_step_costs_more_than_short_ones_of_the_same_length(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long, now = Stopwatch(), Stopwatch(), 0.0
    monkeypatch.setattr(time, "thread_time", lambda: now)

    async def work(steps: int) -> None:
        nonlocal now
        for _ in range(steps):
            now += 0.03 / steps
            await asyncio.sleep(0)

    await run_timed(work(30), short)
    await run_timed(work(1), long)
    assert [short.cost, long.cost] == pytest.approx([0.03, 0.3])


@pytest.mark.parametrize(("weigh", "most"), [(weigh_step, 10), (weigh_step_cubed, 100)])
def test_the_weight_of_a_step_grows_up_to_a_limit(weigh: Callable[[float], float], most: int) -> None:
    factors = [weigh(milliseconds / 1000) / (milliseconds / 1000) for milliseconds in (0.2, 1, 2, 4, 8, 100)]
    assert factors == sorted(factors)
    assert factors[:2] == [1, 1]
    assert factors[-1] == most


async def _hold(work: Any, watch: Stopwatch) -> None:
    await run_timed(work, watch)


@asynccontextmanager
async def edged() -> AsyncIterator[tuple[int, LoopShares]]:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/known":
            bind_log_context(agent="somebody")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with served(Edge(answer, make_settings("postgresql://own.test/own"))) as (port, guard):
        yield port, guard.loop_shares


async def test_a_strangers_answer_is_held_and_a_known_callers_is_not() -> None:
    async with edged() as (port, shares):
        for _ in range(20):
            shares.note_active("another caller")
            shares.charge("127.0.0.1", 5.0)

        async def ask(path: bytes) -> float:
            shares.note_active("somebody else")
            begun = asyncio.get_running_loop().time()
            async with connected(port) as (reader, writer):
                writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                assert (await read_answer(reader)).status == 200
            return asyncio.get_running_loop().time() - begun

        held = asyncio.create_task(ask(b"/signin"))
        await ask(b"/known")
        await ask(b"/api/health/live")
        assert not held.done()
        shares._strangers.clear()
        await ask(b"/signin")
        held.cancel()
