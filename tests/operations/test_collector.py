"""What is there when serving begins is left alone by the garbage collector; what comes later is not."""

import gc
import weakref

from pgrest.collector import tune_gc


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_settled_memory_is_not_walked_over_and_new_rings_still_go() -> None:
    tune_gc()
    try:
        assert gc.get_freeze_count() > 1000
        ring = weakref.ref(Ring())
        gc.collect()
        assert ring() is None
    finally:
        gc.unfreeze()
