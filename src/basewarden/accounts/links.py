"""Links in emails: 256 random bits, valid once and for hours. Only a hash is stored.

Changes of a person's links lock the person first, so that two requests with one link run one after the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from basewarden.accounts import queries
from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.errors import LinkExpired, LinkUsed
from basewarden.accounts.models import AccountToken, Purpose, User
from basewarden.core.ids import make_id
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import NotFound, StartError
from basewarden.settings import Settings

RESET_TTL = timedelta(hours=6)
VERIFY_TTL = timedelta(hours=24)
_TTL = {Purpose.RESET: RESET_TTL, Purpose.VERIFY: VERIFY_TTL, Purpose.CHANGE_EMAIL: VERIFY_TTL}
_PAGES = {Purpose.RESET: "reset", Purpose.VERIFY: "verify-email", Purpose.CHANGE_EMAIL: "verify-email"}


@dataclass(frozen=True, slots=True, repr=False)
class EmailLink:
    """The URL for an email; the token itself is not stored."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ConsumedLink:
    """A link that was just used, and its user, who stays locked until the unit ends."""

    purpose: Purpose
    email: str
    user: User


async def make_link(
    session: WriteSession, origin: str, user: User, purpose: Purpose, *, email: str | None = None
) -> EmailLink:
    """Replaces earlier links. `origin` is the configured one, never taken from a request.

    `email` is the address that using the link verifies: by default the user's; "" for none.
    """
    await queries.lock_user(session, user.id)
    await queries.end_tokens(session, user.id, purpose)
    token = make_opaque_token()
    expires_at = await queries.insert_token(
        session,
        make_id(),
        user.id,
        purpose=purpose,
        email=user.email if email is None else email,
        ttl=_TTL[purpose],
        hashed=hash_token(token),
    )
    return EmailLink(f"{origin}/{_PAGES[purpose]}/{token}", expires_at)


async def check_link(session: ReadSession, token: str, *purposes: Purpose) -> tuple[AccountToken, User]:
    """Does not use the link up. Raises NotFound, LinkUsed or LinkExpired where `consume_link` would raise them."""
    link = await _find_usable(session, token, purposes)
    user = await queries.find_user(session, link.user_id)
    if user is None:
        raise NotFound
    return link, user


async def consume_link(session: WriteSession, token: str, *purposes: Purpose) -> ConsumedLink:
    """Uses the link up. Raises NotFound for an unknown link or another purpose, LinkUsed, or LinkExpired."""
    link = await _find_usable(session, token, purposes)
    user = await queries.lock_user(session, link.user_id)
    if user is None:
        raise NotFound
    link = await _find_usable(session, token, purposes)  # another request may have used it before the lock
    await queries.consume_token(session, link.id)
    return ConsumedLink(Purpose(link.purpose), link.email, user)


async def _find_usable(session: ReadSession | WriteSession, token: str, purposes: tuple[Purpose, ...]) -> AccountToken:
    found = await queries.find_token(session, hash_token(token)) if token.isascii() else None
    if found is None or found[0].purpose not in purposes:
        raise NotFound("This link is incomplete or was not issued here.")
    link, now = found
    if link.consumed_at is not None:
        raise LinkUsed
    if link.dead_at is not None or link.expires_at <= now:
        raise LinkExpired
    return link


async def make_operator_link(database: Database, settings: Settings, email: str, purpose: Purpose) -> str:
    """For a deployment without mail: the operator passes it on. A reset by it does not verify the address."""
    async with database.unit_of_work() as session:
        user = await queries.find_user_by_email(session, make_email_key(email))
        if user is None:
            raise StartError("No account has this address.")
        proven = "" if purpose is Purpose.RESET else None
        return (await make_link(session, settings.origin, user, purpose, email=proven)).url
