"""All SQL of the profile."""

from uuid import UUID

from sqlalchemy import update

from basewarden.accounts.models import User
from basewarden.db import WriteSession


async def set_name(session: WriteSession, user_id: UUID, name: str) -> None:
    await session.execute(update(User).where(User.id == user_id).values(name=name))
