"""All SQL of the audit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, Row, Text, cast, extract, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from basewarden.audit.events import EVENT_GROUPS, AccountEvent, EventGroup
from basewarden.audit.models import AuditEvent
from basewarden.db import ReadSession, WriteSession

_INSERT = text(
    "INSERT INTO audit_events (subject, kind, details, address, client, name)"
    " VALUES (:subject, :kind, CAST(:details AS jsonb), :address, :client, :name)"
    " RETURNING id, encode(hash, 'hex') AS hash"
)


def insert_event(session: Session, event: AccountEvent, *, timeout: str) -> Row[Any]:
    """Not async, because it runs inside the session's commit. Waits for the chain's lock no longer than `timeout`."""
    session.execute(text("SELECT set_config('lock_timeout', :patience, true)"), {"patience": timeout})
    values = {
        "subject": event.subject,
        "kind": event.kind.value,
        "details": msgspec.json.encode(event.list_lasting()).decode(),
        "address": event.client_info.address,
        "client": event.client_info.client,
        "name": event.name,
    }
    return session.execute(_INSERT, values).one()


async def list_events(
    session: AsyncSession,
    subject: UUID,
    *,
    before: int | None = None,
    limit: int = 50,
    group: EventGroup | None = None,
) -> list[AuditEvent]:
    """Lists one person's events, the newest first; `before` is the last id of the page before."""
    query = select(AuditEvent).where(AuditEvent.subject == subject)
    if group is not None:
        query = query.where(AuditEvent.kind.in_(EVENT_GROUPS[group]))
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return list(await session.scalars(query.order_by(AuditEvent.id.desc()).limit(limit)))


async def list_events_after(session: AsyncSession, subject: UUID, *, after: int, limit: int) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.subject == subject, AuditEvent.id > after)
    return list(await session.scalars(query.order_by(AuditEvent.id).limit(limit)))


async def erase_events(session: WriteSession, subject: UUID) -> int:
    """Erases client details and names from a person's events, whose hashes stay valid; returns how many had any.

    Kind and time of the events stay, under a pseudonym that refers to no person once their row of `users` is deleted.
    """
    query = (
        update(AuditEvent)
        .where(AuditEvent.subject == subject, AuditEvent.salt.is_not(None))
        .values(address=None, client=None, name=None, salt=None)
        .execution_options(synchronize_session=False)
    )
    result = await session.execute(query)
    assert isinstance(result, CursorResult)
    return result.rowcount


async def list_links(session: ReadSession, *, after: int | None, limit: int) -> Sequence[Any]:
    """Yields rows as they are sealed, in the order of the chain.

    Times are text, because a forged one may not fit a datetime.
    """
    query = select(
        AuditEvent.id,
        func.trunc(extract("epoch", AuditEvent.at) * 1_000_000).cast(Text).label("microseconds"),
        AuditEvent.subject,
        AuditEvent.kind,
        cast(AuditEvent.details, Text).label("details"),
        AuditEvent.address,
        AuditEvent.client,
        AuditEvent.name,
        AuditEvent.salt,
        AuditEvent.place_digest,
        AuditEvent.prev_hash,
        AuditEvent.hash,
    )
    if after is not None:
        query = query.where(AuditEvent.id > after)
    return (await session.execute(query.order_by(AuditEvent.id).limit(limit))).all()
