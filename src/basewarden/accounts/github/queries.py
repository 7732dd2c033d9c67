"""All SQL of signing in with GitHub."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts.github.client import Identity
from basewarden.accounts.models import OAuthAccount, OAuthState, Passkey, User
from basewarden.db import WriteSession

_STATES_A_SWEEP = 200


async def insert_state(
    session: WriteSession,
    state_hash: bytes,
    *,
    browser_hash: bytes,
    purpose: str,
    user_id: UUID | None,
    code_verifier: str,
    back_to: str,
    ttl: timedelta,
) -> None:
    await session.execute(
        insert(OAuthState).values(
            state_hash=state_hash,
            browser_hash=browser_hash,
            purpose=purpose,
            user_id=user_id,
            code_verifier=code_verifier,
            back_to=back_to,
            expires_at=func.now() + ttl,
        )
    )


async def consume_state(
    session: WriteSession, state_hash: bytes
) -> Row[bytes, str, UUID | None, str, str, bool] | None:
    """Deletes and returns the state; `is_good` is false where it had expired."""
    query = delete(OAuthState).where(OAuthState.state_hash == state_hash)
    returning = query.returning(
        OAuthState.browser_hash,
        OAuthState.purpose,
        OAuthState.user_id,
        OAuthState.code_verifier,
        OAuthState.back_to,
        (OAuthState.expires_at > func.now()).label("is_good"),
    )
    return (await session.execute(returning)).one_or_none()


async def delete_old_states(session: WriteSession) -> None:
    """Skips locked rows, so that it never waits for a sign-in."""
    old = (
        select(OAuthState.state_hash)
        .where(OAuthState.expires_at <= func.now())
        .limit(_STATES_A_SWEEP)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    await session.execute(delete(OAuthState).where(OAuthState.state_hash == old.c.state_hash))


async def find_owner_id(session: AsyncSession, provider: str, subject: str) -> UUID | None:
    """The user that this identity is linked to."""
    query = select(OAuthAccount.user_id).where(OAuthAccount.provider == provider, OAuthAccount.subject == subject)
    return await session.scalar(query)


async def find_link(session: AsyncSession, provider: str, user_id: UUID) -> OAuthAccount | None:
    """An account has at most one linked GitHub account."""
    query = select(OAuthAccount).where(OAuthAccount.provider == provider, OAuthAccount.user_id == user_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def insert_link_if_new(session: WriteSession, provider: str, identity: Identity, user_id: UUID) -> bool:
    """False, without a change, where this identity is linked already."""
    query = insert(OAuthAccount).values(
        provider=provider, subject=identity.subject, user_id=user_id, login=identity.login
    )
    query = query.on_conflict_do_nothing(index_elements=[OAuthAccount.provider, OAuthAccount.subject])
    return await session.scalar(query.returning(OAuthAccount.subject)) is not None


async def insert_account_if_new(
    session: WriteSession, user_id: UUID, *, provider: str, identity: Identity, email_key: str
) -> bool:
    """Inserts a user without a password, and the link; False, without a change, where either exists."""
    query = insert(User).values(
        id=user_id, email=identity.email, email_key=email_key, name=identity.name, email_verified_at=func.now()
    )
    query = query.on_conflict_do_nothing(index_elements=[User.email_key])
    async with session.begin_nested() as savepoint:
        is_new = await session.scalar(query.returning(User.id)) is not None
        if is_new and await insert_link_if_new(session, provider, identity, user_id):
            return True
        await savepoint.rollback()
    return False


async def rename_link(session: WriteSession, provider: str, identity: Identity) -> None:
    """Stores the current login name, which may change at GitHub."""
    query = update(OAuthAccount).where(
        OAuthAccount.provider == provider,
        OAuthAccount.subject == identity.subject,
        OAuthAccount.login != identity.login,
    )
    await session.execute(query.values(login=identity.login))


async def delete_link(session: WriteSession, provider: str, user_id: UUID) -> None:
    query = delete(OAuthAccount).where(OAuthAccount.provider == provider, OAuthAccount.user_id == user_id)
    await session.execute(query)


async def has_another_signin_method(session: AsyncSession, user_id: UUID) -> bool:
    """Whether there is a password or a passkey. Call it with the user locked before a change."""
    password = select(User.id).where(User.id == user_id, User.password_hash.is_not(None))
    passkey = select(Passkey.id).where(Passkey.user_id == user_id)
    return bool(await session.scalar(select(exists(password) | exists(passkey))))
