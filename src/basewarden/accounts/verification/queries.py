"""All SQL of email verification."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError

from basewarden.accounts.models import User
from basewarden.db import WriteSession


async def verify_email(session: WriteSession, user_id: UUID) -> None:
    """Sets the time of verification, unless it is set already."""
    query = update(User).where(User.id == user_id, User.email_verified_at.is_(None))
    await session.execute(query.values(email_verified_at=func.now()))


async def change_email(session: WriteSession, user_id: UUID, email: str, email_key: str) -> bool:
    """Sets a verified address; False, without a change, where another account has it."""
    changes = {"email": email, "email_key": email_key, "email_verified_at": func.now()}
    try:
        async with session.begin_nested():
            await session.execute(update(User).where(User.id == user_id).values(**changes))
    except IntegrityError:
        return False
    return True
