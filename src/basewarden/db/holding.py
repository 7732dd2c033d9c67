"""Finds code that holds a connection of our pool while it waits for another host. The pool is small.

A session takes its connection with its first statement and keeps it until it ends. Code calls `note_waiting` before it
waits for another host; if the same task holds a connection then, that is a bug, which is logged and fails a test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import structlog
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

_open: ContextVar[tuple[AsyncSession, ...]] = ContextVar("open_sessions", default=())
_log = structlog.get_logger()

FAULTS: Final[list[str]] = []
"""What was waited for with a connection held; tests read this."""
_MOST_FAULTS = 100


class HeldSession(Session):
    """Notes whether it has a connection; `info["first"]` is the first statement that it executes."""


@event.listens_for(HeldSession, "after_begin")
def _take(session: Session, _: SessionTransaction, connection: Connection) -> None:
    if session.info.get("is_held"):
        return
    session.info["is_held"] = True
    if session.info.get("first"):
        connection.exec_driver_sql(session.info["first"])


@contextmanager
def track_session(session: AsyncSession) -> Iterator[None]:
    """Makes the session known to `note_waiting` in this task while the block runs."""
    _open.set((*_open.get(), session))
    try:
        yield
    finally:
        session.info["is_held"] = False
        _open.set(tuple(one for one in _open.get() if one is not session))


def note_waiting(whom: str, **facts: Any) -> None:
    """Call this before waiting for another host; `whom` is a word for that host."""
    if not any(session.info.get("is_held") for session in _open.get()):
        return
    _log.error("database.held_while_waiting", whom=whom, **facts)
    if len(FAULTS) < _MOST_FAULTS:
        FAULTS.append(whom)
