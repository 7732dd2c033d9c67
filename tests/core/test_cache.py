"""What the caches of seconds promise when many ask at once."""

import asyncio

import pytest

from basewarden.core.cache import LoadingCache


class CountingSource:
    """Answers with the number of the question, once it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.clock = 0.0
        self.fails = False
        self.cache = LoadingCache(self._load, size=10, seconds=5, clock=lambda: self.clock)

    async def _load(self, key: str) -> str | None:
        self.asked.append(key)
        number = len(self.asked)
        await self.may_answer.wait()
        if self.fails:
            raise LookupError(key)
        return None if key == "nobody" else f"{key} {number}"

    async def ask(self, *keys: str) -> list["asyncio.Task[str | None]"]:
        """Asked, and not answered yet."""
        tasks = [asyncio.create_task(self.cache.get(key)) for key in keys]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return tasks


@pytest.fixture
async def source() -> CountingSource:
    return CountingSource()


async def test_many_who_ask_at_once_have_it_fetched_once(source: CountingSource) -> None:
    waiting = await source.ask("a", "a", "b", "a")
    source.may_answer.set()
    assert await asyncio.gather(*waiting) == ["a 1", "a 1", "b 2", "a 1"]
    assert await source.cache.get("a") == "a 1"
    source.clock = 6
    assert await source.cache.get("a") == "a 3"


async def test_who_asks_after_a_drop_does_not_get_what_was_fetched_before(source: CountingSource) -> None:
    early = await source.ask("a")
    source.cache.drop("a")
    late = await source.ask("a")
    source.may_answer.set()
    assert await asyncio.gather(*early, *late) == ["a 1", "a 2"]
    assert source.cache.find("a") == "a 2"


async def test_one_who_leaves_takes_nothing_away_from_the_others(source: CountingSource) -> None:
    first, second = await source.ask("a", "a")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.may_answer.set()
    assert await second == "a 1"


async def test_a_failure_reaches_every_waiter_and_is_not_kept(source: CountingSource) -> None:
    waiting = await source.ask("a", "a")
    source.fails = True
    source.may_answer.set()
    for one in waiting:
        with pytest.raises(LookupError):
            await one
    source.fails = False
    assert await source.cache.get("a") == "a 2"


async def test_what_is_not_there_is_asked_for_again(source: CountingSource) -> None:
    source.may_answer.set()
    assert [await source.cache.get("nobody"), await source.cache.get("nobody")] == [None, None]
    assert source.asked == ["nobody", "nobody"]
