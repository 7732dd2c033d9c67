"""SQL of users, of the links in emails and of attempts, which several capabilities share."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, case, extract, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.models import AccountToken, AttemptCounter, OAuthState, PasskeyChallenge, Purpose, User
from basewarden.db import WriteSession, delete_some

KEEP_ATTEMPTS = timedelta(days=1)
_ATTEMPTS_A_SWEEP = 500


async def find_user_by_email(session: AsyncSession, email_key: str) -> User | None:
    return await session.scalar(select(User).where(User.email_key == email_key))


async def find_user(session: AsyncSession, user_id: UUID) -> User | None:
    return await session.get(User, user_id)


async def lock_user(session: WriteSession, user_id: UUID) -> User | None:
    """Locks and returns the current row. Must come before locks on rows of this user, to avoid deadlocks."""
    query = select(User).where(User.id == user_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def insert_token(
    session: WriteSession,
    token_id: UUID,
    user_id: UUID,
    *,
    purpose: Purpose,
    email: str,
    ttl: timedelta,
    hashed: bytes,
) -> datetime:
    """Returns when it expires, by the database's clock."""
    query = insert(AccountToken).values(
        id=token_id,
        user_id=user_id,
        purpose=purpose,
        token_hash=hashed,
        email=email,
        expires_at=func.now() + ttl,
    )
    return (await session.execute(query.returning(AccountToken.expires_at))).scalar_one()


async def find_token(session: AsyncSession, token_hash: bytes) -> Row[AccountToken, datetime] | None:
    """With the database's time. Returns the current row, even if this session has loaded it before."""
    query = select(AccountToken, func.clock_timestamp()).where(AccountToken.token_hash == token_hash)
    return (await session.execute(query.execution_options(populate_existing=True))).one_or_none()


async def consume_token(session: WriteSession, token_id: UUID) -> None:
    await session.execute(update(AccountToken).where(AccountToken.id == token_id).values(consumed_at=func.now()))


async def end_tokens(session: WriteSession, user_id: UUID, *purposes: Purpose) -> None:
    """Invalidates the links that could still be used. Call it with the user locked."""
    query = update(AccountToken).where(
        AccountToken.user_id == user_id,
        AccountToken.purpose.in_(purposes),
        AccountToken.consumed_at.is_(None),
        AccountToken.dead_at.is_(None),
    )
    await session.execute(query.values(dead_at=func.now()))


async def count_attempt(session: WriteSession, scope: str, key: bytes, limit: int, seconds: int) -> float | None:
    """Counts one attempt; returns the seconds until the window ends where the limit is exceeded, else None."""
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


async def delete_old_attempts(
    session: WriteSession, keep: timedelta = KEEP_ATTEMPTS, limit: int = _ATTEMPTS_A_SWEEP
) -> int:
    """Skips locked rows, so that it never waits for, or deadlocks with, a request that counts."""
    return await delete_some(session, AttemptCounter, AttemptCounter.started_at < func.now() - keep, limit)


async def delete_old_tokens(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, AccountToken, AccountToken.expires_at < func.now() - keep, limit)


async def delete_old_challenges(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, PasskeyChallenge, PasskeyChallenge.expires_at < func.now() - keep, limit)


async def delete_old_states(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, OAuthState, OAuthState.expires_at < func.now() - keep, limit)
