"""Threads beside the event loop, and how soon they make room for it."""

import sys

_SWITCH_SECONDS = 0.0001


def make_room_for_loop() -> None:
    """The loop takes the interpreter for each of its callbacks, so a thread that computes gives it up soon."""
    sys.setswitchinterval(_SWITCH_SECONDS)
