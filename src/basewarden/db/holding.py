"""Who holds a connection of our pool. There are few, so nobody may hold one while a host of somebody else is awaited.

A session takes its connection with its first statement and keeps it until it ends. What awaits elsewhere says so first
(`note_waiting`); where the same task holds a connection then, that is a fault of ours: it is logged, and fails a test.
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
"""Whom somebody waited for with a connection in hand; the tests look here."""
_MOST_FAULTS = 100


class HeldSession(Session):
    """Knows whether it has a connection; `info["first"]` is what it says on it before anything else."""


@event.listens_for(HeldSession, "after_begin")
def _take(session: Session, _: SessionTransaction, connection: Connection) -> None:
    if session.info.get("is_held"):
        return
    session.info["is_held"] = True
    if session.info.get("first"):
        connection.exec_driver_sql(session.info["first"])


@contextmanager
def track_session(session: AsyncSession) -> Iterator[None]:
    """While the block runs, what this task calls can know of the session."""
    _open.set((*_open.get(), session))
    try:
        yield
    finally:
        session.info["is_held"] = False
        _open.set(tuple(one for one in _open.get() if one is not session))


def note_waiting(whom: str, **facts: Any) -> None:
    """To be called before awaiting a host that is not ours, with a word for what it is."""
    if not any(session.info.get("is_held") for session in _open.get()):
        return
    _log.error("database.held_while_waiting", whom=whom, **facts)
    if len(FAULTS) < _MOST_FAULTS:
        FAULTS.append(whom)
