"""All SQL of passwords."""

from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from basewarden.accounts.models import User
from basewarden.db import WriteSession


async def insert_user_if_new(session: WriteSession, user: User) -> None:
    """Does nothing where the email address has an account."""
    query = insert(User).values(
        id=user.id,
        email=user.email,
        email_key=user.email_key,
        name=user.name,
        password_hash=user.password_hash,
    )
    await session.execute(query.on_conflict_do_nothing(index_elements=[User.email_key]))


async def has_other_users(session: WriteSession, user_id: UUID) -> bool:
    """Whether this deployment has an account other than this one."""
    return bool(await session.scalar(select(exists().where(User.id != user_id))))


async def set_password_hash(session: WriteSession, user_id: UUID, password_hash: str) -> None:
    """Replaces the hash of an unchanged password."""
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def change_password(session: WriteSession, user_id: UUID, password_hash: str) -> None:
    changes = {"password_hash": password_hash, "password_changed_at": func.now()}
    await session.execute(update(User).where(User.id == user_id).values(**changes))
