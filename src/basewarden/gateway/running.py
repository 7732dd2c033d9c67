"""The requests of agents that this process is serving, so that a freeze ends them at once.

A stop cancels a request wherever it waits. From the moment that its write is handed to the recorder, the recorder alone
decides: what it has stored is committed, and what it refuses is rolled back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.connections import STOP_TOPIC, Stop, StopCode, make_stop_error
from basewarden.db import Listener
from basewarden.errors import AppError
from basewarden.gateway.caller import Caller
from basewarden.journal import make_frozen_error

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_RETRY_SECONDS = 1.0
_log = structlog.get_logger()
FindStops = Callable[[Collection[UUID]], Awaitable[Mapping[UUID, StopCode]]]


class Interrupted(Exception):
    """A stop came for a request; `has_begun` says whether what was interrupted had begun."""

    def __init__(self, error: AppError, *, has_begun: bool) -> None:
        super().__init__(error.text)
        self.error = error
        self.has_begun = has_begun


class RunningRequests:
    """`find_stops` is asked when announcements may have been missed. `announced` counts the stops of this process."""

    def __init__(self, listener: Listener, find_stops: FindStops) -> None:
        self.announced = 0
        self._find_stops = find_stops
        self._running: set[RunningRequest] = set()
        self._checking: asyncio.Task[None] | None = None
        listener.on(STOP_TOPIC, self._on_stop)

    def serve(self, caller: Caller, method: str, label: str | None) -> AbstractContextManager[Any]:
        """A block within which the request of an agent is stopped; those of people are not affected."""
        if not caller.is_agent:
            return nullcontext()
        return RunningRequest(self._running, caller, label, is_write=method not in _READS)

    def _on_stop(self, payload: str) -> None:
        self.announced += 1
        if payload:
            stop = Stop.parse(payload)
            for request in [one for one in self._running if one.concerns(stop)]:
                request.stop(_make_error(stop))
        elif self._running and (self._checking is None or self._checking.done()):
            self._checking = asyncio.get_running_loop().create_task(self._check_missed())

    async def _check_missed(self) -> None:
        """Stops what announcements that were missed concern. Writes to a frozen session are refused by the recorder."""
        while True:
            try:
                stops = await self._find_stops({request.agent_id for request in self._running})
            except (AppError, SQLAlchemyError, OSError) as error:
                _log.warning("stops.not_checked", reason=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        for request in [one for one in self._running if one.agent_id in stops]:
            request.stop(make_stop_error(stops[request.agent_id]))


class RunningRequest:
    """A block that raises the error of a stop which came within it."""

    __slots__ = ("_all", "_caller", "_error", "_is_cancelled", "_is_held", "_is_write", "_label", "_task", "_token")

    def __init__(self, running: "set[RunningRequest]", caller: Caller, label: str | None, *, is_write: bool) -> None:
        self._all = running
        self._caller = caller
        self._label = label
        self._is_write = is_write
        self._is_held = False
        self._is_cancelled = False
        self._error: AppError | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._token = _current.set(self)
        self._all.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._all.discard(self)
        _current.reset(self._token)
        error = self.take_error()
        if error is not None and kind is not None:
            raise error from None

    @property
    def agent_id(self) -> UUID:
        return self._caller.id

    @property
    def error(self) -> AppError | None:
        """The error of the stop that came; None if there was none."""
        return self._error

    def concerns(self, stop: Stop) -> bool:
        if stop.kind == "connection":
            return stop.id == self._caller.connection.id
        if stop.id != self._caller.id:
            return False
        is_of_session = self._label in (stop.label, str(stop.session_id))
        return stop.kind != "session" or (self._is_write and is_of_session)

    def stop(self, error: AppError) -> None:
        """The first stop counts."""
        if self._error is not None:
            return
        self._error = error
        if not self._is_held and self._task is not None:
            self._is_cancelled = True
            self._task.cancel()

    def hold(self, *, is_held: bool) -> None:
        self._is_held = is_held

    def take_error(self) -> AppError | None:
        """Takes the cancellation of a stop back and returns its error; None if there was none, or another remains."""
        if not self._is_cancelled or self._task is None:
            return None
        self._is_cancelled = False
        return None if self._task.uncancel() else self._error


_current: ContextVar[RunningRequest | None] = ContextVar("running_request", default=None)


def hold_stops() -> None:
    """From here on a stop does not interrupt the request: the recorder decides about its write."""
    running = _current.get()
    if running is not None:
        running.hold(is_held=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """A part of a held request that a stop interrupts. Raises Interrupted, before the part if the stop has come."""
    running = _current.get()
    if running is None:
        yield
        return
    if running.error is not None:
        raise Interrupted(running.error, has_begun=False)
    running.hold(is_held=False)
    try:
        yield
    except asyncio.CancelledError:
        error = running.take_error()
        if error is None:
            raise
        raise Interrupted(error, has_begun=True) from None
    finally:
        running.hold(is_held=True)


def _make_error(stop: Stop) -> AppError:
    if stop.code is not None:
        return make_stop_error(stop.code)
    return make_frozen_error(stop.session_id, stop.label, is_by_member=True)
