"""What an agent has used in the last hour, and when there is room again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basewarden.policy import Allowed, HourOfUse, Refused

NOW = 1_000_000.0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 50))), st.integers(1, 500), st.integers(0, 100))
def test_what_is_allowed_is_within_the_limit_and_what_is_refused_is_not(
    used: list[tuple[int, int]], limit: int, rows: int
) -> None:
    hour = HourOfUse(NOW, sorted((NOW - 60 * minute, count) for minute, count in used))
    before = hour.total
    decision = hour.decide(limit, rows)
    assert isinstance(decision, Allowed) == (before + rows <= limit)
    assert hour.total == before
    assert hour.left(limit) == max(0, limit - before)
    if isinstance(decision, Refused):
        assert 1 <= int(decision.error.headers["Retry-After"]) <= 3660


@pytest.mark.parametrize(
    ("minutes", "rows", "seconds"),
    [
        ([(NOW - 3000, 10)], 1, 660),
        ([(NOW - 3000, 4), (NOW - 60, 6)], 4, 660),
        ([(NOW - 3000, 4), (NOW - 60, 6)], 5, 3600),
        ([(NOW - 3659, 10)], 1, 1),
        ([], 11, 3660),
    ],
)
def test_the_wait_is_until_enough_is_an_hour_old(minutes: list[tuple[float, int]], rows: int, seconds: int) -> None:
    decision = HourOfUse(NOW, minutes).decide(10, rows)
    assert isinstance(decision, Refused)
    assert (decision.error.status, decision.error.code) == (429, "budget_exceeded")
    assert decision.error.headers["Retry-After"] == str(seconds)


def test_what_was_added_counts() -> None:
    hour = HourOfUse(NOW, [(NOW, 3)])
    hour.add(5)
    assert (hour.total, hour.left(10)) == (8, 2)
    assert isinstance(hour.decide(10, 2), Allowed)
    assert isinstance(hour.decide(10, 3), Refused)
