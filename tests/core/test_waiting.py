"""The one way in which tests wait."""

import pytest

from tests.fixtures.waiting import WaitedInVainError, wait_until


async def test_the_first_value_that_matches_is_returned() -> None:
    values = iter([0, 1, 2, 3])
    assert await wait_until(lambda: next(values), "a two", matches=lambda value: value == 2) == 2


async def test_an_async_look_may_fail_until_it_does_not() -> None:
    values = iter(["", "here"])
    errors = iter([OSError()])

    async def look() -> str:
        for error in errors:
            raise error
        return next(values)

    assert await wait_until(look, "something", ignoring=(OSError,)) == "here"


async def test_the_failure_says_what_was_waited_for_and_what_was_seen_last() -> None:
    with pytest.raises(WaitedInVainError, match=r"waited 0\.02 s for a dozen; seen last: 11"):
        await wait_until(lambda: 11, "a dozen", matches=lambda count: count == 12, seconds=0.02)


async def test_an_error_that_was_not_expected_is_not_waited_out() -> None:
    with pytest.raises(ZeroDivisionError):
        await wait_until(lambda: 1 / 0, "nothing", ignoring=(OSError,))
