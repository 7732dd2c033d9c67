"""Records audit events. An event in a unit of work is stored right before its commit, as its last statement.

A transaction that appends to the chain locks it until it commits. In the middle of a request, that would block all
other requests; two requests that lock the chain and a row in different order would deadlock; and a refusal recorded by
`record_now` would wait for its own request. Locking just before COMMIT avoids all of that.
"""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from psycopg.errors import LockNotAvailable
from sqlalchemy import event as hooks
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from basewarden.audit import queries
from basewarden.audit.events import AccountEvent, EventKind
from basewarden.audit.models import AuditEvent
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Unavailable

_WAITING, _ERASED = "audit.waiting", "audit.erased"
_UNIT_TIMEOUT = "10s"
_REFUSAL_TIMEOUT = "2s"
_EXPORT_ROWS = 500
_log = structlog.get_logger()


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, session: WriteSession, event: AccountEvent) -> None:
        """Stores the event with the unit of work, which fails with a 503 if the event cannot be stored."""
        _enlist(session, event, _UNIT_TIMEOUT)

    async def record_now(self, event: AccountEvent) -> None:
        """Records an event even though its request is refused. Never fails: an event that cannot be stored is logged.

        A refusal must stay the same refusal however busy the chain is, because a different answer would reveal
        who has an account.
        """
        try:
            async with self._database.write_now() as session:
                _enlist(session, event, _REFUSAL_TIMEOUT)
        except (Unavailable, PoolTimeoutError) as error:
            _log.error("audit.missed", kind=event.kind, subject=str(event.subject), reason=type(error).__name__)

    async def erase_person(self, session: WriteSession, subject: UUID) -> int:
        """Erases addresses, clients and names from all of a person's events; returns how many had any.

        Events that this unit of work stores later have none either, whether they are recorded before or after
        this call.
        """
        session.sync_session.info.setdefault(_ERASED, set()).add(subject)
        return await queries.erase_events(session, subject)


async def export_events(session: ReadSession, subject: UUID) -> AsyncGenerator[dict[str, Any]]:
    """Yields all of one person's events, the oldest first, ready for JSON; a few hundred are in memory at a time."""
    after = 0
    while events := await queries.list_events_after(session, subject, after=after, limit=_EXPORT_ROWS):
        for event in events:
            yield event_body(event)
        after = events[-1].id


def event_body(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(),
        "kind": event.kind,
        "words": event.words,
        "name": event.name,
        "address": event.address,
        "client": event.client,
        "details": event.details,
    }


def _enlist(session: WriteSession, event: AccountEvent, timeout: str) -> None:
    unit = session.sync_session
    if unit.in_nested_transaction():
        raise RuntimeError("record outside of savepoints: the event of a rolled-back one would still be stored")
    waiting: list[AccountEvent] = unit.info.setdefault(_WAITING, [])
    if not waiting:
        hooks.listen(unit, "before_commit", partial(_store, waiting=waiting, timeout=timeout))
    waiting.append(event)


def _store(unit: Session, *, waiting: list[AccountEvent], timeout: str) -> None:
    if unit.in_nested_transaction() or not waiting:
        return  # a savepoint ended, not the unit of work
    unit.flush()  # writes its rows first, so that no transaction waits for a row while it locks the chain
    try:
        stored = [
            (event.kind, queries.insert_event(unit, event, timeout=timeout)) for event in _hide_erased(unit, waiting)
        ]
    except DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise Unavailable from error
        raise
    waiting.clear()
    hooks.listen(unit, "after_commit", lambda _: _log_heads(stored), once=True)


def _hide_erased(unit: Session, events: list[AccountEvent]) -> list[AccountEvent]:
    erased = unit.info.get(_ERASED, ())
    return [event.without_person() if event.subject in erased else event for event in events]


def _log_heads(stored: list[tuple[EventKind, Any]]) -> None:
    """Logs the head: a log that is kept elsewhere has heads that a rewritten chain cannot reproduce."""
    for kind, row in stored:
        _log.info("audit.recorded", id=row.id, kind=kind, head=row.hash)
