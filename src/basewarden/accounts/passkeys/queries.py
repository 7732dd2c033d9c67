"""All SQL of passkeys."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.models import OAuthAccount, Passkey, PasskeyChallenge, User
from basewarden.accounts.passkeys.relying_party import AssertionResult, NewCredential
from basewarden.db import WriteSession

_CHALLENGES_A_SWEEP = 200


async def insert_challenge(
    session: WriteSession, challenge_id: UUID, *, user_id: UUID | None, purpose: str, challenge: bytes, ttl: timedelta
) -> None:
    await session.execute(
        insert(PasskeyChallenge).values(
            id=challenge_id,
            user_id=user_id,
            purpose=purpose,
            challenge=challenge,
            expires_at=func.now() + ttl,
        )
    )


async def consume_challenge(
    session: WriteSession, challenge_id: UUID, *, user_id: UUID | None, purpose: str
) -> bytes | None:
    """Deletes and returns the challenge. None where it is unknown, for another person or purpose, or expired."""
    query = delete(PasskeyChallenge).where(
        PasskeyChallenge.id == challenge_id,
        PasskeyChallenge.user_id.is_not_distinct_from(user_id),
        PasskeyChallenge.purpose == purpose,
    )
    returning = query.returning(PasskeyChallenge.challenge, PasskeyChallenge.expires_at > func.now())
    row = (await session.execute(returning)).one_or_none()
    return row[0] if row is not None and row[1] else None


async def delete_old_challenges(session: WriteSession) -> None:
    """Skips locked rows, so that it never waits for a sign-in."""
    old = (
        select(PasskeyChallenge.id)
        .where(PasskeyChallenge.expires_at <= func.now())
        .limit(_CHALLENGES_A_SWEEP)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    await session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.id == old.c.id))


async def list_passkeys(session: AsyncSession, user_id: UUID) -> list[Passkey]:
    """Ordered by creation, the newest first."""
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id.desc())
    return list(await session.scalars(query))


async def count_passkeys(session: AsyncSession, user_id: UUID) -> int:
    return await session.scalar(select(func.count()).where(Passkey.user_id == user_id)) or 0


async def find_passkey(session: AsyncSession, user_id: UUID, passkey_id: UUID) -> Passkey | None:
    return await session.scalar(select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id))


async def find_by_credential(session: AsyncSession, credential_id: bytes) -> Row[Passkey, UUID] | None:
    """With the audit id of its user."""
    query = select(Passkey, User.audit_id).join(User, User.id == Passkey.user_id)
    return (await session.execute(query.where(Passkey.credential_id == credential_id))).one_or_none()


async def lock_passkey(session: WriteSession, passkey_id: UUID) -> Passkey | None:
    """The current row, even if this session has loaded it before."""
    query = select(Passkey).where(Passkey.id == passkey_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def insert_passkey_if_new(
    session: WriteSession, passkey_id: UUID, *, user_id: UUID, name: str, key: NewCredential
) -> bool:
    """False, without a change, where this credential is registered already."""
    query = insert(Passkey).values(
        id=passkey_id,
        user_id=user_id,
        credential_id=key.credential_id,
        public_key=key.public_key,
        sign_count=key.sign_count,
        name=name,
        transports=key.transports,
        is_backed_up=key.is_backed_up,
    )
    query = query.on_conflict_do_nothing(index_elements=[Passkey.credential_id])
    return await session.scalar(query.returning(Passkey.id)) is not None


async def set_used(session: WriteSession, passkey_id: UUID, use: AssertionResult) -> None:
    changes = {"sign_count": use.sign_count, "is_backed_up": use.is_backed_up, "last_used_at": func.now()}
    await session.execute(update(Passkey).where(Passkey.id == passkey_id).values(**changes))


async def rename_passkey(session: WriteSession, user_id: UUID, passkey_id: UUID, name: str) -> Passkey | None:
    query = update(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id).values(name=name)
    return await session.scalar(query.returning(Passkey))


async def delete_passkey(session: WriteSession, user_id: UUID, passkey_id: UUID) -> str | None:
    """Returns its name; None where the user has no such passkey."""
    query = delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    return await session.scalar(query.returning(Passkey.name))


async def has_another_signin_method(session: WriteSession, user_id: UUID, *, but: UUID) -> bool:
    """Whether there is a password, a linked account or another passkey. Call it with the user locked."""
    password = select(User.id).where(User.id == user_id, User.password_hash.is_not(None))
    elsewhere = select(OAuthAccount.subject).where(OAuthAccount.user_id == user_id)
    other = select(Passkey.id).where(Passkey.user_id == user_id, Passkey.id != but)
    return bool(await session.scalar(select(exists(password) | exists(elsewhere) | exists(other))))
