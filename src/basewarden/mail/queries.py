"""All SQL of mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, delete_some
from basewarden.mail.models import LetterState, StoredLetter

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


async def lock_letter(session: WriteSession, letter_id: UUID) -> StoredLetter | None:
    """Whoever sends it holds it: a second run of the job waits here, and then finds what became of it."""
    return await session.scalar(select(StoredLetter).where(StoredLetter.id == letter_id).with_for_update())


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


async def expire_letters(session: WriteSession) -> int:
    """Erases what nobody will send any more; one that is being sent right now is left to its sender."""
    overdue = (
        select(StoredLetter.id)
        .where(StoredLetter.state == LetterState.QUEUED, StoredLetter.good_until < func.now())
        .with_for_update(skip_locked=True)
    )
    query = (
        update(StoredLetter)
        .where(StoredLetter.id.in_(overdue))
        .values(state=LetterState.EXPIRED, sealed_content=None)
        .returning(StoredLetter.id)
    )
    return len((await session.execute(query, execution_options={"synchronize_session": False})).all())


async def delete_ended_letters(session: WriteSession, older_than: timedelta, limit: int = 1000) -> int:
    """At most `limit`; one that somebody looks at right now is left for the next time."""
    is_old = and_(StoredLetter.state.in_(_ENDED), StoredLetter.created_at < func.now() - older_than)
    return await delete_some(session, StoredLetter, is_old, limit)


def _make_record(row: Sequence[object]) -> LetterRecord:
    id_, user_id, kind, address, state, *rest = row
    return LetterRecord(id_, user_id, kind, address, LetterState(str(state)), *rest)  # type: ignore[arg-type]  # a row's columns in the order of _RECORD
