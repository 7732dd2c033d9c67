"""All SQL of mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, delete_some
from basewarden.mail.models import LetterState, StoredLetter

_AS_STORED = {"synchronize_session": False}
_ENDED = (LetterState.SENT, LetterState.FAILED, LetterState.EXPIRED)


@dataclass(frozen=True)
class LetterRecord:
    """A letter from outside: never its content."""

    id: UUID
    user_id: UUID | None
    kind: str
    address: str
    state: LetterState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    good_until: datetime | None


_RECORD = (
    StoredLetter.id,
    StoredLetter.user_id,
    StoredLetter.kind,
    StoredLetter.address,
    StoredLetter.state,
    StoredLetter.attempts,
    StoredLetter.last_error,
    StoredLetter.created_at,
    StoredLetter.sent_at,
    StoredLetter.good_until,
)


async def insert_letter(session: WriteSession, letter: StoredLetter) -> None:
    session.add(letter)
    await session.flush()


async def claim_letter(session: WriteSession, letter_id: UUID, holds: timedelta) -> StoredLetter | None:
    """The letter, which is the caller's to send for so long; None where another one sends it or none is queued.

    Counts the attempt: `attempts` tells this claim from a later one.
    """
    query = update(StoredLetter).where(
        StoredLetter.id == letter_id, StoredLetter.state == LetterState.QUEUED, _is_free()
    )
    values = {"claimed_until": func.clock_timestamp() + holds, "attempts": StoredLetter.attempts + 1}
    return await session.scalar(query.values(**values).returning(StoredLetter), execution_options=_AS_STORED)


async def is_queued(session: AsyncSession, letter_id: UUID) -> bool:
    query = select(StoredLetter.id).where(StoredLetter.id == letter_id, StoredLetter.state == LetterState.QUEUED)
    return await session.scalar(query) is not None


async def note_result(
    session: WriteSession, letter: StoredLetter, *, state: LetterState, error: str | None = None
) -> None:
    """Ends the claim; one that has passed to another process meanwhile changes nothing."""
    values: dict[str, Any] = {"state": state, "last_error": error, "claimed_until": None}
    if state != LetterState.QUEUED:
        values["sealed_content"] = None
    if state == LetterState.SENT:
        values["sent_at"] = func.clock_timestamp()
    await session.execute(update(StoredLetter).where(*_is_claim(letter)).values(**values), execution_options=_AS_STORED)


async def release_letter(session: WriteSession, letter: StoredLetter) -> None:
    """Gives back the claim and the attempt that it counted."""
    values = {"claimed_until": None, "attempts": StoredLetter.attempts - 1}
    await session.execute(update(StoredLetter).where(*_is_claim(letter)).values(**values), execution_options=_AS_STORED)


async def list_letters(
    session: AsyncSession, *, state: LetterState | None = None, limit: int = 100
) -> Sequence[LetterRecord]:
    """The latest first."""
    query = select(*_RECORD).order_by(StoredLetter.created_at.desc(), StoredLetter.id.desc()).limit(limit)
    if state is not None:
        query = query.where(StoredLetter.state == state)
    return [_make_record(row) for row in await session.execute(query)]


async def count_letters(session: AsyncSession, state: LetterState) -> int:
    return int(await session.scalar(select(func.count()).where(StoredLetter.state == state)) or 0)


async def find_last_letter(session: AsyncSession, user_id: UUID, kind: str) -> LetterRecord | None:
    query = (
        select(*_RECORD)
        .where(StoredLetter.user_id == user_id, StoredLetter.kind == kind)
        .order_by(StoredLetter.created_at.desc(), StoredLetter.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _make_record(row)


async def forget_letters(session: WriteSession, user_id: UUID, address: str | None = None) -> int:
    """When somebody's account is deleted; what is still queued is not sent.

    With an address, also what others had sent there.
    """
    is_theirs = or_(StoredLetter.user_id == user_id, StoredLetter.address == address)
    query = delete(StoredLetter).where(is_theirs).returning(StoredLetter.id)
    return len((await session.execute(query)).all())


async def expire_letters(session: WriteSession, *, only: UUID | None = None) -> int:
    """Erases what is past its time; one that is being sent right now is left to its sender."""
    is_overdue = [StoredLetter.state == LetterState.QUEUED, StoredLetter.good_until < func.now(), _is_free()]
    if only is not None:
        is_overdue.append(StoredLetter.id == only)
    overdue = select(StoredLetter.id).where(*is_overdue).with_for_update(skip_locked=True)
    query = (
        update(StoredLetter)
        .where(StoredLetter.id.in_(overdue))
        .values(state=LetterState.EXPIRED, sealed_content=None)
        .returning(StoredLetter.id)
    )
    return len((await session.execute(query, execution_options=_AS_STORED)).all())


async def delete_ended_letters(session: WriteSession, older_than: timedelta, limit: int = 1000) -> int:
    """At most `limit`; one that somebody looks at right now is left for the next time."""
    is_old = and_(StoredLetter.state.in_(_ENDED), StoredLetter.created_at < func.now() - older_than)
    return await delete_some(session, StoredLetter, is_old, limit)


def _is_free() -> ColumnElement[bool]:
    return or_(StoredLetter.claimed_until.is_(None), StoredLetter.claimed_until < func.clock_timestamp())


def _is_claim(letter: StoredLetter) -> tuple[ColumnElement[bool], ...]:
    """Still the claim under which this letter was read."""
    return (
        StoredLetter.id == letter.id,
        StoredLetter.state == LetterState.QUEUED,
        StoredLetter.attempts == letter.attempts,
    )


def _make_record(row: Sequence[object]) -> LetterRecord:
    id_, user_id, kind, address, state, *rest = row
    return LetterRecord(id_, user_id, kind, address, LetterState(str(state)), *rest)  # type: ignore[arg-type]  # a row's columns in the order of _RECORD
