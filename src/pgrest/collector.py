"""Python's cyclic garbage collector in a process that serves: what a start loaded stays, nobody looks at it again."""

import gc

_YOUNG, _MIDDLE, _OLD = 10_000, 5, 20  # after so many new objects, so many young rounds, so many middle ones


def calm_collector() -> None:
    """Once everything is loaded. A look at all of it took a fifth of a second, in which every request waited."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
