"""All SQL of accounts."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, case, delete, extract, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.models import AttemptCounter, SigninSession, User
from basewarden.db import ReadSession, WriteSession

_KEEP_ATTEMPTS = timedelta(days=1)
_ATTEMPTS_A_SWEEP = 500


async def find_user_by_email(session: ReadSession, email_key: str) -> User | None:
    return await session.scalar(select(User).where(User.email_key == email_key))


async def insert_user_if_new(session: WriteSession, user: User) -> None:
    """A taken address changes nothing."""
    query = insert(User).values(
        id=user.id,
        email=user.email,
        email_key=user.email_key,
        name=user.name,
        password_hash=user.password_hash,
    )
    await session.execute(query.on_conflict_do_nothing(index_elements=[User.email_key]))


async def set_password_hash(session: WriteSession, user_id: UUID, *, old: str, new: str) -> None:
    """Only over the hash that was checked: a password changed meanwhile stays changed."""
    await session.execute(update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new))


async def find_signin(
    session: AsyncSession, token_hash: bytes, *, idle: timedelta, longest: timedelta
) -> Row[SigninSession, User, datetime] | None:
    """A session that is still good, its person, and the database's time."""
    query = (
        select(SigninSession, User, func.now())
        .join(User, User.id == SigninSession.user_id)
        .where(
            SigninSession.token_hash == token_hash,
            SigninSession.last_seen_at > func.now() - idle,
            SigninSession.created_at > func.now() - longest,
        )
    )
    return (await session.execute(query)).one_or_none()


async def insert_signin(session: WriteSession, signin_id: UUID, user_id: UUID, token_hash: bytes) -> None:
    await session.execute(insert(SigninSession).values(id=signin_id, user_id=user_id, token_hash=token_hash))


async def touch_signin(session: WriteSession, signin_id: UUID) -> None:
    await session.execute(update(SigninSession).where(SigninSession.id == signin_id).values(last_seen_at=func.now()))


async def delete_signin(session: WriteSession, token_hash: bytes) -> None:
    await session.execute(delete(SigninSession).where(SigninSession.token_hash == token_hash))


async def delete_ended_signins(session: WriteSession, user_id: UUID, *, idle: timedelta, longest: timedelta) -> None:
    await session.execute(
        delete(SigninSession).where(
            SigninSession.user_id == user_id,
            or_(
                SigninSession.last_seen_at <= func.now() - idle,
                SigninSession.created_at <= func.now() - longest,
            ),
        )
    )


async def count_attempt(session: WriteSession, scope: str, key: bytes, limit: int, seconds: int) -> float | None:
    """Counts one more; seconds until the window ends when that is one too many, else None."""
    window = timedelta(seconds=seconds)
    is_over = AttemptCounter.started_at <= func.now() - window
    query = (
        insert(AttemptCounter)
        .values(scope=scope, key=key, count=1)
        .on_conflict_do_update(
            index_elements=[AttemptCounter.scope, AttemptCounter.key],
            set_={
                "count": case((is_over, 1), else_=func.least(AttemptCounter.count, limit) + 1),
                "started_at": case((is_over, func.now()), else_=AttemptCounter.started_at),
            },
        )
        .returning(
            AttemptCounter.count,
            extract("epoch", AttemptCounter.started_at + window - func.clock_timestamp()),
        )
    )
    count, remaining = (await session.execute(query)).one()
    return max(float(remaining), 0.0) if count > limit else None


async def uncount_attempt(session: WriteSession, scope: str, key: bytes) -> None:
    await session.execute(
        update(AttemptCounter)
        .where(AttemptCounter.scope == scope, AttemptCounter.key == key, AttemptCounter.count > 0)
        .values(count=AttemptCounter.count - 1)
    )


async def delete_old_attempts(session: WriteSession) -> None:
    """Skips locked rows, so that it never waits for, nor deadlocks with, somebody who counts."""
    old = (
        select(AttemptCounter.scope, AttemptCounter.key)
        .where(AttemptCounter.started_at < func.now() - _KEEP_ATTEMPTS)
        .limit(_ATTEMPTS_A_SWEEP)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    await session.execute(
        delete(AttemptCounter).where(AttemptCounter.scope == old.c.scope, AttemptCounter.key == old.c.key)
    )
