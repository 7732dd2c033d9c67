"""All SQL of accounts."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    and_,
    case,
    delete,
    exists,
    extract,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.models import (
    AccountToken,
    AttemptCounter,
    OAuthAccount,
    OAuthState,
    Passkey,
    PasskeyChallenge,
    Purpose,
    SigninSession,
    User,
)
from basewarden.db import Base, ReadSession, WriteSession, delete_some

KEEP_ATTEMPTS = timedelta(days=1)
_ATTEMPTS_A_SWEEP = 500
_EXPORTED_AT_ONCE = 200


async def find_user_by_email(session: AsyncSession, email_key: str) -> User | None:
    return await session.scalar(select(User).where(User.email_key == email_key))


async def find_user(session: AsyncSession, user_id: UUID) -> User | None:
    return await session.get(User, user_id)


async def lock_user(session: WriteSession, user_id: UUID) -> User | None:
    """As it is now, and as it stays until the unit ends. Comes before locks on anything that is this person's."""
    query = select(User).where(User.id == user_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


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


async def set_name(session: WriteSession, user_id: UUID, name: str) -> None:
    await session.execute(update(User).where(User.id == user_id).values(name=name))


async def set_password_hash(session: WriteSession, user_id: UUID, password_hash: str) -> None:
    """The same password, hashed anew."""
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def change_password(session: WriteSession, user_id: UUID, password_hash: str) -> None:
    changes = {"password_hash": password_hash, "password_changed_at": func.now()}
    await session.execute(update(User).where(User.id == user_id).values(**changes))


async def verify_email(session: WriteSession, user_id: UUID) -> None:
    """Keeps the first time."""
    query = update(User).where(User.id == user_id, User.email_verified_at.is_(None))
    await session.execute(query.values(email_verified_at=func.now()))


async def delete_other_ways_in(session: WriteSession, user_id: UUID) -> None:
    """All but the password."""
    for ways in (Passkey, OAuthAccount):
        await session.execute(delete(ways).where(ways.user_id == user_id))


async def change_email(session: WriteSession, user_id: UUID, email: str, email_key: str) -> bool:
    """To a verified address; False, and nothing changed, where another account has it."""
    changes = {"email": email, "email_key": email_key, "email_verified_at": func.now()}
    try:
        async with session.begin_nested():
            await session.execute(update(User).where(User.id == user_id).values(**changes))
    except IntegrityError:
        return False
    return True


async def insert_token(
    session: WriteSession,
    token_id: UUID,
    user_id: UUID,
    *,
    purpose: Purpose,
    email: str,
    holds: timedelta,
    hashed: bytes,
) -> datetime:
    """When it will expire, by the database's clock."""
    query = insert(AccountToken).values(
        id=token_id,
        user_id=user_id,
        purpose=purpose,
        token_hash=hashed,
        email=email,
        expires_at=func.now() + holds,
    )
    return (await session.execute(query.returning(AccountToken.expires_at))).scalar_one()


async def find_token(session: AsyncSession, token_hash: bytes) -> Row[AccountToken, datetime] | None:
    """With the database's time; as it is now, even if this session saw it before."""
    query = select(AccountToken, func.clock_timestamp()).where(AccountToken.token_hash == token_hash)
    return (await session.execute(query.execution_options(populate_existing=True))).one_or_none()


async def consume_token(session: WriteSession, token_id: UUID) -> None:
    await session.execute(update(AccountToken).where(AccountToken.id == token_id).values(consumed_at=func.now()))


async def end_tokens(session: WriteSession, user_id: UUID, *purposes: Purpose) -> None:
    """Those that could still be used are dead; to be called with the person locked."""
    query = update(AccountToken).where(
        AccountToken.user_id == user_id,
        AccountToken.purpose.in_(purposes),
        AccountToken.consumed_at.is_(None),
        AccountToken.dead_at.is_(None),
    )
    await session.execute(query.values(dead_at=func.now()))


async def is_new_place(session: WriteSession, user_id: UUID, address: str | None, client: str | None) -> bool:
    """Whether this person has signed in before, but never from this address nor with this client."""
    is_like = or_(
        SigninSession.address.is_not_distinct_from(address), SigninSession.client.is_not_distinct_from(client)
    )
    query = select(func.count(), func.count().filter(is_like)).where(SigninSession.user_id == user_id)
    before, like = (await session.execute(query)).one()
    return before > 0 and like == 0


async def find_signin(
    session: AsyncSession, token_hash: bytes, *, idle: timedelta, longest: timedelta
) -> Row[SigninSession, User, datetime] | None:
    """A session that is still good, its person, and the database's time."""
    query = (
        select(SigninSession, User, func.now())
        .join(User, User.id == SigninSession.user_id)
        .where(SigninSession.token_hash == token_hash, *_alive(idle, longest))
    )
    return (await session.execute(query)).one_or_none()


async def list_signins(
    session: ReadSession, user_id: UUID, *, idle: timedelta, longest: timedelta
) -> list[SigninSession]:
    query = (
        select(SigninSession)
        .where(SigninSession.user_id == user_id, *_alive(idle, longest))
        .order_by(SigninSession.last_seen_at.desc(), SigninSession.id.desc())
    )
    return list(await session.scalars(query))


def _alive(idle: timedelta, longest: timedelta) -> tuple[ColumnElement[bool], ...]:
    return (
        SigninSession.ended_at.is_(None),
        SigninSession.last_seen_at > func.now() - idle,
        SigninSession.created_at > func.now() - longest,
    )


async def insert_signin(session: WriteSession, signin: SigninSession) -> None:
    if signin.mfa_hash is not None:
        signin.mfa_at = func.now()
    session.add(signin)
    await session.flush()


async def touch_signin(session: WriteSession, signin_id: UUID) -> None:
    await session.execute(update(SigninSession).where(SigninSession.id == signin_id).values(last_seen_at=func.now()))


async def renew_signin(
    session: WriteSession, signin_id: UUID, *, token_hash: bytes, mfa_hash: bytes | None, authenticated: bool
) -> bytes | None:
    """The token's hash until now; None where the session ended meanwhile."""
    query = select(SigninSession.token_hash).where(SigninSession.id == signin_id, SigninSession.ended_at.is_(None))
    old = await session.scalar(query.with_for_update())
    if old is None:
        return None
    changes: dict[str, Any] = {"token_hash": token_hash}
    if mfa_hash is not None:
        changes.update(mfa_hash=mfa_hash, mfa_at=func.now())
    if authenticated:
        changes.update(authenticated_at=func.now())
    await session.execute(update(SigninSession).where(SigninSession.id == signin_id).values(**changes))
    return old


async def is_signin_alive(session: WriteSession, signin_id: UUID) -> bool:
    query = select(SigninSession.id).where(SigninSession.id == signin_id, SigninSession.ended_at.is_(None))
    return await session.scalar(query) is not None


async def end_signin(session: WriteSession, token_hash: bytes) -> list[bytes]:
    """The hashes of what ended: this one's, or nothing."""
    return await _end_signins(session, SigninSession.token_hash == token_hash)


async def end_signins(
    session: WriteSession, user_id: UUID, *, only: UUID | None = None, but: UUID | None = None
) -> list[bytes]:
    which = [SigninSession.user_id == user_id]
    if only is not None:
        which.append(SigninSession.id == only)
    if but is not None:
        which.append(SigninSession.id != but)
    return await _end_signins(session, *which)


async def _end_signins(session: WriteSession, *which: ColumnElement[bool]) -> list[bytes]:
    query = (
        update(SigninSession)
        .where(SigninSession.ended_at.is_(None), *which)
        .values(ended_at=func.now())
        .returning(SigninSession.token_hash)
    )
    return list(await session.scalars(query))


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


async def delete_old_attempts(
    session: WriteSession, keep: timedelta = KEEP_ATTEMPTS, limit: int = _ATTEMPTS_A_SWEEP
) -> int:
    """Skips locked rows, so that it never waits for, nor deadlocks with, somebody who counts."""
    return await delete_some(session, AttemptCounter, AttemptCounter.started_at < func.now() - keep, limit)


async def delete_old_signins(
    session: WriteSession, keep: timedelta, limit: int, *, idle: timedelta, longest: timedelta
) -> int:
    """Those that ended, or were left, so long ago; never one that is still good, however short the window."""
    is_old = func.coalesce(SigninSession.ended_at, SigninSession.last_seen_at) < func.now() - keep
    return await delete_some(session, SigninSession, and_(is_old, not_(and_(*_alive(idle, longest)))), limit)


async def delete_old_tokens(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, AccountToken, AccountToken.expires_at < func.now() - keep, limit)


async def delete_old_challenges(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, PasskeyChallenge, PasskeyChallenge.expires_at < func.now() - keep, limit)


async def delete_old_states(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, OAuthState, OAuthState.expires_at < func.now() - keep, limit)


async def lock_abandoned_user(session: WriteSession, keep: timedelta, *, after: UUID) -> User | None:
    """The next after that id who signed up so long ago, never proved the address, and was not seen since."""
    query = select(User).where(User.id > after, *_is_abandoned(keep)).order_by(User.id).limit(1)
    return await session.scalar(query.with_for_update(skip_locked=True))


async def is_still_abandoned(session: WriteSession, user_id: UUID, keep: timedelta) -> bool:
    """Asked with the person locked: they may have signed in just before."""
    return await session.scalar(select(User.id).where(User.id == user_id, *_is_abandoned(keep))) is not None


def _is_abandoned(keep: timedelta) -> tuple[ColumnElement[bool], ...]:
    """A passkey or a sign-in elsewhere is a sign of life; a day of deletion takes its own course."""
    cutoff = func.now() - keep
    return (
        User.email_verified_at.is_(None),
        User.deletion_due_at.is_(None),
        User.created_at < cutoff,
        ~exists().where(SigninSession.user_id == User.id, SigninSession.last_seen_at >= cutoff),
        ~exists().where(Passkey.user_id == User.id),
        ~exists().where(OAuthAccount.user_id == User.id),
    )


async def try_take_export_place(session: ReadSession, user_id: UUID, places: int) -> bool:
    """One of so many at once, over all processes; given back when the transaction ends, however it ends."""
    for place in range(places):
        key = func.hashtextextended(f"export:{user_id}:{place}", 0)
        if await session.scalar(select(func.pg_try_advisory_xact_lock(key))):
            return True
    return False


async def stream_rows_of_user(
    session: ReadSession, table: str, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """A person's rows of one of our tables, the oldest first, a few at a time."""
    known = Base.metadata.tables[table]
    owner = known.c["id" if table == User.__tablename__ else "user_id"]
    query = select(*(known.c[name] for name in columns)).where(owner == user_id).order_by(*known.primary_key)
    result = await session.stream(query, execution_options={"yield_per": _EXPORTED_AT_ONCE})
    try:
        async for row in result.mappings():
            yield row
    finally:
        await result.close()


async def lock_user_due(session: WriteSession) -> User | None:
    """Somebody whose day of deletion has come, and whom nobody else is deleting right now."""
    query = select(User).where(User.deletion_due_at <= func.now()).order_by(User.deletion_due_at).limit(1)
    return await session.scalar(query.with_for_update(skip_locked=True))


async def set_deletion_due(session: WriteSession, user_id: UUID, wait: timedelta | None) -> datetime | None:
    """After `wait` from now; None = not at all."""
    due = None if wait is None else func.now() + wait
    query = update(User).where(User.id == user_id).values(deletion_due_at=due).returning(User.deletion_due_at)
    return await session.scalar(query)


async def delete_user(session: WriteSession, user_id: UUID) -> None:
    """With everything that hangs on the row."""
    await session.execute(delete(User).where(User.id == user_id))
