"""All SQL of exporting and deleting accounts."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, delete, exists, func, select, update

from basewarden.accounts.models import OAuthAccount, Passkey, SignInSession, User
from basewarden.db import Base, ReadSession, WriteSession

_EXPORTED_AT_ONCE = 200


async def lock_abandoned_user(session: WriteSession, keep: timedelta, *, after: UUID) -> User | None:
    """The next user by id who signed up before the window, never verified the address, and was not seen since."""
    query = select(User).where(User.id > after, *_is_abandoned(keep)).order_by(User.id).limit(1)
    return await session.scalar(query.with_for_update(skip_locked=True))


async def is_still_abandoned(session: WriteSession, user_id: UUID, keep: timedelta) -> bool:
    """Checked again with the user locked, who may have signed in just before."""
    return await session.scalar(select(User.id).where(User.id == user_id, *_is_abandoned(keep))) is not None


def _is_abandoned(keep: timedelta) -> tuple[ColumnElement[bool], ...]:
    """An account with a passkey or a linked account is not abandoned; one with a scheduled deletion is left to that."""
    cutoff = func.now() - keep
    return (
        User.email_verified_at.is_(None),
        User.deletion_due_at.is_(None),
        User.created_at < cutoff,
        ~exists().where(SignInSession.user_id == User.id, SignInSession.last_seen_at >= cutoff),
        ~exists().where(Passkey.user_id == User.id),
        ~exists().where(OAuthAccount.user_id == User.id),
    )


async def try_take_export_place(session: ReadSession, user_id: UUID, places: int) -> bool:
    """Takes one of `places` over all processes; it is released when the transaction ends."""
    for place in range(places):
        key = func.hashtextextended(f"export:{user_id}:{place}", 0)
        if await session.scalar(select(func.pg_try_advisory_xact_lock(key))):
            return True
    return False


async def stream_rows_of_user(
    session: ReadSession, table: str, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams a person's rows of one of our tables, the oldest first."""
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
    """A user whose deletion is due, and whom no other process is deleting."""
    query = select(User).where(User.deletion_due_at <= func.now()).order_by(User.deletion_due_at).limit(1)
    return await session.scalar(query.with_for_update(skip_locked=True))


async def set_deletion_due(session: WriteSession, user_id: UUID, wait: timedelta | None) -> datetime | None:
    """Sets the day to `wait` from now; None cancels the deletion."""
    due = None if wait is None else func.now() + wait
    query = update(User).where(User.id == user_id).values(deletion_due_at=due).returning(User.deletion_due_at)
    return await session.scalar(query)


async def delete_user(session: WriteSession, user_id: UUID) -> None:
    """Rows that refer to the user are deleted with it."""
    await session.execute(delete(User).where(User.id == user_id))
