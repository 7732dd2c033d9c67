"""What is there when serving begins is left alone by the garbage collector; what comes later is not."""

import gc
import sys
import weakref

from pgrest.interpreter import tune_interpreter


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_settled_memory_is_not_walked_over_and_new_rings_still_go() -> None:
    gc.unfreeze()  # the tests' own interpreter is tuned too
    sys.setswitchinterval(0.005)
    tune_interpreter()
    assert gc.get_freeze_count() > 1000
    ring = weakref.ref(Ring())
    gc.collect()
    assert ring() is None
    assert sys.getswitchinterval() < 0.002
