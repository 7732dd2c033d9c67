"""All SQL of sign-in sessions."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.models import SignInSession, User
from basewarden.db import ReadSession, WriteSession, delete_some


async def is_new_place(session: WriteSession, user_id: UUID, address: str | None, client: str | None) -> bool:
    """Whether the person has signed in before, but never from this address or with this client."""
    is_like = or_(
        SignInSession.address.is_not_distinct_from(address), SignInSession.client.is_not_distinct_from(client)
    )
    query = select(func.count(), func.count().filter(is_like)).where(SignInSession.user_id == user_id)
    before, like = (await session.execute(query)).one()
    return before > 0 and like == 0


async def find_signin(
    session: AsyncSession, token_hash: bytes, *, idle: timedelta, absolute: timedelta
) -> Row[SignInSession, User, datetime] | None:
    """A session that is still valid, its person, and the database's time."""
    query = (
        select(SignInSession, User, func.now())
        .join(User, User.id == SignInSession.user_id)
        .where(SignInSession.token_hash == token_hash, *_alive(idle, absolute))
    )
    return (await session.execute(query)).one_or_none()


async def list_signins(
    session: ReadSession, user_id: UUID, *, idle: timedelta, absolute: timedelta
) -> list[SignInSession]:
    query = (
        select(SignInSession)
        .where(SignInSession.user_id == user_id, *_alive(idle, absolute))
        .order_by(SignInSession.last_seen_at.desc(), SignInSession.id.desc())
    )
    return list(await session.scalars(query))


def _alive(idle: timedelta, absolute: timedelta) -> tuple[ColumnElement[bool], ...]:
    return (
        SignInSession.ended_at.is_(None),
        SignInSession.last_seen_at > func.now() - idle,
        SignInSession.created_at > func.now() - absolute,
    )


async def insert_signin(session: WriteSession, signin: SignInSession) -> None:
    if signin.mfa_hash is not None:
        signin.mfa_at = func.now()
    session.add(signin)
    await session.flush()


async def touch_signin(session: WriteSession, signin_id: UUID) -> None:
    await session.execute(update(SignInSession).where(SignInSession.id == signin_id).values(last_seen_at=func.now()))


async def renew_signin(
    session: WriteSession, signin_id: UUID, *, token_hash: bytes, mfa_hash: bytes | None, authenticated: bool
) -> bytes | None:
    """Returns the earlier token hash; None where the session ended meanwhile."""
    query = select(SignInSession.token_hash).where(SignInSession.id == signin_id, SignInSession.ended_at.is_(None))
    old = await session.scalar(query.with_for_update())
    if old is None:
        return None
    changes: dict[str, Any] = {"token_hash": token_hash}
    if mfa_hash is not None:
        changes.update(mfa_hash=mfa_hash, mfa_at=func.now())
    if authenticated:
        changes.update(authenticated_at=func.now())
    await session.execute(update(SignInSession).where(SignInSession.id == signin_id).values(**changes))
    return old


async def is_signin_alive(session: WriteSession, signin_id: UUID) -> bool:
    query = select(SignInSession.id).where(SignInSession.id == signin_id, SignInSession.ended_at.is_(None))
    return await session.scalar(query) is not None


async def end_signin(session: WriteSession, token_hash: bytes) -> list[bytes]:
    """Returns the token hashes of the sessions that were ended: one or none."""
    return await _end_signins(session, SignInSession.token_hash == token_hash)


async def end_signins(
    session: WriteSession, user_id: UUID, *, only: UUID | None = None, but: UUID | None = None
) -> list[bytes]:
    which = [SignInSession.user_id == user_id]
    if only is not None:
        which.append(SignInSession.id == only)
    if but is not None:
        which.append(SignInSession.id != but)
    return await _end_signins(session, *which)


async def _end_signins(session: WriteSession, *which: ColumnElement[bool]) -> list[bytes]:
    query = (
        update(SignInSession)
        .where(SignInSession.ended_at.is_(None), *which)
        .values(ended_at=func.now())
        .returning(SignInSession.token_hash)
    )
    return list(await session.scalars(query))


async def delete_old_signins(
    session: WriteSession, keep: timedelta, limit: int, *, idle: timedelta, absolute: timedelta
) -> int:
    """Deletes sessions that ended or were last used before the window; never one that is still valid."""
    is_old = func.coalesce(SignInSession.ended_at, SignInSession.last_seen_at) < func.now() - keep
    return await delete_some(session, SignInSession, and_(is_old, not_(and_(*_alive(idle, absolute)))), limit)
