"""Whether this process is about to stop: responses that never end by themselves must end then.

The server waits for running requests before it stops, and would cut them off only after its grace period.
"""

from collections.abc import Callable
from typing import Any

_KEY = "basewarden.draining"
Callback = Callable[[], None]


class Draining:
    """One for each process. Callbacks are called once, when the server begins to stop."""

    def __init__(self) -> None:
        self.has_begun = False
        self._callbacks: set[Callback] = set()

    def begin(self) -> None:
        self.has_begun = True
        callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def add(self, callback: Callback) -> None:
        self._callbacks.add(callback)

    def remove(self, callback: Callback) -> None:
        self._callbacks.discard(callback)


def attach_draining(scope: Any, draining: Draining) -> None:
    scope[_KEY] = draining


def find_draining(scope: Any) -> Draining:
    """Returns one that never begins where another server runs the application, as in tests."""
    found: Draining = scope.get(_KEY) or Draining()
    return found
