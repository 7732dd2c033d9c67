"""A value is made once, however many threads ask for it."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from basewarden.core.once import make_once


def test_threads_that_ask_meanwhile_get_the_same_value() -> None:
    may_end, calls = Event(), count(1)

    def make() -> int:
        may_end.wait(10)
        return next(calls)

    get = make_once(make)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(get) for _ in range(4)]
        may_end.set()
    assert [one.result() for one in asked] == [1, 1, 1, 1]
    assert get() == 1


def test_an_error_is_not_kept() -> None:
    calls = count(1)

    def make() -> str:
        if next(calls) == 1:
            raise ValueError("not yet")
        return "made"

    get = make_once(make)
    with pytest.raises(ValueError, match="not yet"):
        get()
    assert get() == "made"
