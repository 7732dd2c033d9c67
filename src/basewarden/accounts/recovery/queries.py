"""All SQL of password resets."""

from uuid import UUID

from sqlalchemy import delete

from basewarden.accounts.models import OAuthAccount, Passkey
from basewarden.db import WriteSession


async def delete_other_signin_methods(session: WriteSession, user_id: UUID) -> None:
    """Deletes passkeys and linked accounts; the password stays."""
    for ways in (Passkey, OAuthAccount):
        await session.execute(delete(ways).where(ways.user_id == user_id))
