"""Settings of Python's interpreter for a process that serves."""

import gc
import sys

_YOUNG, _MIDDLE, _OLD = 10_000, 5, 20  # thresholds of the collector's three generations
_SWITCH_SECONDS = 0.001
"""after which a thread that computes lets the event loop run; Python's own 5 ms are added to each wait of a request"""


def tune_interpreter() -> None:
    """Call once everything is loaded: a collection of all of it took 0.2 s, in which every request waited."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
