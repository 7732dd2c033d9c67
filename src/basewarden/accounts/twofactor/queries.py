"""All SQL of two-factor sign-in."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Update, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts import queries as account_queries
from basewarden.accounts.models import RecoveryCode, SignInSession, User
from basewarden.db import WriteSession
from basewarden.errors import Unauthenticated


async def get_user(session: AsyncSession, user_id: UUID) -> User:
    """Unauthenticated where the account was deleted, as its sign-in sessions were."""
    user = await account_queries.find_user(session, user_id)
    if user is None:
        raise Unauthenticated
    return user


async def put_pending(session: WriteSession, user_id: UUID, sealed: bytes) -> None:
    await session.execute(update(User).where(User.id == user_id).values(sealed_totp_pending=sealed))


async def turn_on(session: WriteSession, user_id: UUID, *, pending: bytes, sealed: bytes, step: int) -> bool:
    """False where it is on already, or another secret is pending: of two requests at the same time one succeeds."""
    query = update(User).where(
        User.id == user_id, User.sealed_totp_secret.is_(None), User.sealed_totp_pending == pending
    )
    return await _changes(
        session,
        query.values(
            sealed_totp_secret=sealed, sealed_totp_pending=None, totp_last_step=step, totp_enabled_at=func.now()
        ),
    )


async def turn_off(session: WriteSession, user_id: UUID) -> bool:
    """Also deletes the recovery codes. False where it is off already."""
    query = update(User).where(User.id == user_id, User.sealed_totp_secret.is_not(None))
    changed = await _changes(
        session, query.values(sealed_totp_secret=None, sealed_totp_pending=None, totp_enabled_at=None)
    )
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return changed


async def consume_step(session: WriteSession, user_id: UUID, step: int) -> bool:
    """False where a code of this time step or a later one was used already: of two at the same time one succeeds."""
    query = update(User).where(User.id == user_id, User.sealed_totp_secret.is_not(None), User.totp_last_step < step)
    return await _changes(session, query.values(totp_last_step=step))


async def lock_if_on(session: WriteSession, user_id: UUID) -> bool:
    """Whether two-factor sign-in is on. The lock holds off changes of it until this unit of work ends."""
    query = select(User.id).where(User.id == user_id, User.sealed_totp_secret.is_not(None))
    return await session.scalar(query.with_for_update(key_share=True)) is not None


async def replace_codes(session: WriteSession, user_id: UUID, hashes: Mapping[int, str]) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    rows = [{"user_id": user_id, "position": at, "code_hash": code_hash} for at, code_hash in hashes.items()]
    await session.execute(insert(RecoveryCode), rows)


async def find_code_hash(session: AsyncSession, user_id: UUID, position: int) -> str | None:
    """The hash of an unused code."""
    query = select(RecoveryCode.code_hash).where(
        RecoveryCode.user_id == user_id, RecoveryCode.position == position, RecoveryCode.used_at.is_(None)
    )
    return await session.scalar(query)


async def consume_code(session: WriteSession, user_id: UUID, position: int, code_hash: str) -> bool:
    """False where it was used meanwhile, or replaced by new codes."""
    query = update(RecoveryCode).where(
        RecoveryCode.user_id == user_id,
        RecoveryCode.position == position,
        RecoveryCode.code_hash == code_hash,
        RecoveryCode.used_at.is_(None),
    )
    return await _changes(session, query.values(used_at=func.now()))


async def count_codes_left(session: AsyncSession, user_id: UUID) -> int:
    query = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return await session.scalar(query) or 0


async def forget_passed(session: WriteSession, user_id: UUID, *, but: UUID) -> None:
    """Other sign-in sessions have verified an earlier second factor, and must verify the new one."""
    query = update(SignInSession).where(SignInSession.user_id == user_id, SignInSession.id != but)
    await session.execute(query.values(mfa_hash=None, mfa_at=None))


async def _changes(session: WriteSession, query: Update) -> bool:
    result = cast("CursorResult[Any]", await session.execute(query))
    return result.rowcount > 0
