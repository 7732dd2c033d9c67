"""All SQL of mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, delete_some
from basewarden.mail.models import EmailState, StoredEmail

_AS_STORED = {"synchronize_session": False}
_ENDED = (EmailState.SENT, EmailState.FAILED, EmailState.EXPIRED)


@dataclass(frozen=True)
class EmailRecord:
    """An email without its content."""

    id: UUID
    user_id: UUID | None
    kind: str
    address: str
    state: EmailState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    good_until: datetime | None


_RECORD = (
    StoredEmail.id,
    StoredEmail.user_id,
    StoredEmail.kind,
    StoredEmail.address,
    StoredEmail.state,
    StoredEmail.attempts,
    StoredEmail.last_error,
    StoredEmail.created_at,
    StoredEmail.sent_at,
    StoredEmail.good_until,
)


async def insert_email(session: WriteSession, email: StoredEmail) -> None:
    session.add(email)
    await session.flush()


async def claim_email(session: WriteSession, email_id: UUID, ttl: timedelta) -> StoredEmail | None:
    """Claims the email for the caller until `ttl` has passed; None where another process has it or it is not queued.

    None also for one whose link has expired: another's claim may end right after the caller looked for those. Counts
    the attempt: `attempts` distinguishes this claim from a later one.
    """
    is_good = or_(StoredEmail.good_until.is_(None), StoredEmail.good_until >= func.now())
    waiting = (StoredEmail.id == email_id, StoredEmail.state == EmailState.QUEUED)
    query = update(StoredEmail).where(*waiting, is_good, _is_free())
    values = {"claimed_until": func.clock_timestamp() + ttl, "attempts": StoredEmail.attempts + 1}
    return await session.scalar(query.values(**values).returning(StoredEmail), execution_options=_AS_STORED)


async def is_queued(session: AsyncSession, email_id: UUID) -> bool:
    query = select(StoredEmail.id).where(StoredEmail.id == email_id, StoredEmail.state == EmailState.QUEUED)
    return await session.scalar(query) is not None


async def note_result(
    session: WriteSession, email: StoredEmail, *, state: EmailState, error: str | None = None
) -> None:
    """Stores the result and ends the claim, unless another process has claimed the email meanwhile."""
    values: dict[str, Any] = {"state": state, "last_error": error, "claimed_until": None}
    if state != EmailState.QUEUED:
        values["sealed_content"] = None
    if state == EmailState.SENT:
        values["sent_at"] = func.clock_timestamp()
    await session.execute(update(StoredEmail).where(*_is_claim(email)).values(**values), execution_options=_AS_STORED)


async def release_email(session: WriteSession, email: StoredEmail) -> None:
    """Releases the claim, and uncounts its attempt."""
    values = {"claimed_until": None, "attempts": StoredEmail.attempts - 1}
    await session.execute(update(StoredEmail).where(*_is_claim(email)).values(**values), execution_options=_AS_STORED)


async def list_emails(
    session: AsyncSession, *, state: EmailState | None = None, limit: int = 100
) -> Sequence[EmailRecord]:
    """Ordered by time, the latest first."""
    query = select(*_RECORD).order_by(StoredEmail.created_at.desc(), StoredEmail.id.desc()).limit(limit)
    if state is not None:
        query = query.where(StoredEmail.state == state)
    return [_make_record(row) for row in await session.execute(query)]


async def count_emails(session: AsyncSession, state: EmailState) -> int:
    return int(await session.scalar(select(func.count()).where(StoredEmail.state == state)) or 0)


async def find_last_email(session: AsyncSession, user_id: UUID, kind: str) -> EmailRecord | None:
    query = (
        select(*_RECORD)
        .where(StoredEmail.user_id == user_id, StoredEmail.kind == kind)
        .order_by(StoredEmail.created_at.desc(), StoredEmail.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _make_record(row)


async def delete_person_emails(session: WriteSession, user_id: UUID, address: str | None = None) -> int:
    """Deletes the emails of an account that is deleted; queued ones are not sent.

    With an address, also the emails that other accounts sent to it.
    """
    is_theirs = or_(StoredEmail.user_id == user_id, StoredEmail.address == address)
    query = delete(StoredEmail).where(is_theirs).returning(StoredEmail.id)
    return len((await session.execute(query)).all())


async def expire_emails(session: WriteSession, *, only: UUID | None = None) -> int:
    """Erases the content of expired emails, except for those that are being sent."""
    is_overdue = [StoredEmail.state == EmailState.QUEUED, StoredEmail.good_until < func.now(), _is_free()]
    if only is not None:
        is_overdue.append(StoredEmail.id == only)
    overdue = select(StoredEmail.id).where(*is_overdue).with_for_update(skip_locked=True)
    query = (
        update(StoredEmail)
        .where(StoredEmail.id.in_(overdue))
        .values(state=EmailState.EXPIRED, sealed_content=None)
        .returning(StoredEmail.id)
    )
    return len((await session.execute(query, execution_options=_AS_STORED)).all())


async def delete_ended_emails(session: WriteSession, older_than: timedelta, limit: int = 1000) -> int:
    """Deletes at most `limit` rows, and skips locked ones."""
    is_old = and_(StoredEmail.state.in_(_ENDED), StoredEmail.created_at < func.now() - older_than)
    return await delete_some(session, StoredEmail, is_old, limit)


def _is_free() -> ColumnElement[bool]:
    return or_(StoredEmail.claimed_until.is_(None), StoredEmail.claimed_until < func.clock_timestamp())


def _is_claim(email: StoredEmail) -> tuple[ColumnElement[bool], ...]:
    """Whether the row still has the claim under which this email was read."""
    return (
        StoredEmail.id == email.id,
        StoredEmail.state == EmailState.QUEUED,
        StoredEmail.attempts == email.attempts,
    )


def _make_record(row: Sequence[object]) -> EmailRecord:
    id_, user_id, kind, address, state, *rest = row
    return EmailRecord(id_, user_id, kind, address, EmailState(str(state)), *rest)  # type: ignore[arg-type]  # a row's columns in the order of _RECORD
