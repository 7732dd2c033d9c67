"""All SQL of invitations."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, RowMapping, Select, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts import User
from basewarden.connections.models import Connection, ConnectionInvitation, Role
from basewarden.db import WriteSession, delete_some

_IS_WAITING = ConnectionInvitation.accepted_at.is_(None)
_IS_EXPIRED = ConnectionInvitation.expires_at <= func.clock_timestamp()
_INVITER = func.coalesce(func.nullif(User.name, ""), User.email)


@dataclass(frozen=True, slots=True)
class ListedInvitation:
    """An invitation that was not accepted. `invited_by` is a name, or else an address."""

    id: UUID
    email: str
    role: Role
    invited_by: str
    created_at: datetime
    expires_at: datetime
    is_expired: bool


@dataclass(frozen=True, slots=True)
class FoundInvitation:
    """An invitation, found by its token. `inviter` is a name, or else an address."""

    id: UUID
    connection_id: UUID
    connection_name: str
    email_key: str
    role: Role
    inviter: str
    is_accepted: bool
    is_expired: bool


@dataclass(frozen=True, slots=True)
class InvitationCounts:
    """How many invitations were not accepted, and how many of them can still be."""

    listed: int
    usable: int


async def list_invitations(session: AsyncSession, connection_id: UUID) -> list[ListedInvitation]:
    """Lists the invitations that were not accepted, also expired ones, the newest first."""
    query = _select_waiting(connection_id).order_by(ConnectionInvitation.id.desc())
    return [_make_listed(row) for row in await session.execute(query)]


async def find_invitation(session: AsyncSession, connection_id: UUID, invitation_id: UUID) -> ListedInvitation | None:
    query = _select_waiting(connection_id).where(ConnectionInvitation.id == invitation_id)
    row = (await session.execute(query)).one_or_none()
    return _make_listed(row) if row is not None else None


async def count_invitations(session: AsyncSession, connection_id: UUID, *, but: str) -> InvitationCounts:
    """Counts them without those to the address `but`."""
    query = select(func.count(), func.count().filter(~_IS_EXPIRED)).where(
        ConnectionInvitation.connection_id == connection_id, ConnectionInvitation.email_key != but, _IS_WAITING
    )
    return InvitationCounts(*(await session.execute(query)).one())


async def upsert_invitation(
    session: WriteSession,
    invitation_id: UUID,
    *,
    connection_id: UUID,
    email: str,
    email_key: str,
    role: Role,
    token_hash: bytes,
    invited_by: UUID,
    ttl: timedelta,
) -> Row[UUID, datetime]:
    """Inserts an invitation, or replaces the waiting one to the same address; returns its id and when it expires."""
    values = {"email": email, "role": role, "token_hash": token_hash, "invited_by": invited_by}
    fresh = {**values, "expires_at": func.now() + ttl}
    query = (
        insert(ConnectionInvitation)
        .values(id=invitation_id, connection_id=connection_id, email_key=email_key, **fresh)
        .on_conflict_do_update(
            index_elements=[ConnectionInvitation.connection_id, ConnectionInvitation.email_key],
            index_where=_IS_WAITING,
            set_=fresh,
        )
        .returning(ConnectionInvitation.id, ConnectionInvitation.expires_at)
    )
    return (await session.execute(query)).one()


async def delete_invitation(session: WriteSession, connection_id: UUID, invitation_id: UUID) -> bool:
    """Deletes an invitation that was not accepted; False if there is none."""
    query = delete(ConnectionInvitation).where(
        ConnectionInvitation.id == invitation_id, ConnectionInvitation.connection_id == connection_id, _IS_WAITING
    )
    return await session.scalar(query.returning(ConnectionInvitation.id)) is not None


async def find_by_hash(session: AsyncSession, token_hash: bytes) -> FoundInvitation | None:
    row = (await session.execute(_select_found(token_hash))).one_or_none()
    if row is None:
        return None
    invitation_id, connection_id, name, email_key, role, *rest = row
    return FoundInvitation(invitation_id, connection_id, name, email_key, Role(role), *rest)


async def lock_by_hash(session: WriteSession, token_hash: bytes) -> FoundInvitation | None:
    """Finds an invitation as it is now, and locks it until the unit of work ends."""
    query = select(ConnectionInvitation.id).where(ConnectionInvitation.token_hash == token_hash).with_for_update()
    return await find_by_hash(session, token_hash) if await session.scalar(query) is not None else None


async def set_accepted(session: WriteSession, invitation_id: UUID, user_id: UUID) -> None:
    query = update(ConnectionInvitation).where(ConnectionInvitation.id == invitation_id)
    await session.execute(query.values(accepted_at=func.now(), accepted_by=user_id))


async def delete_old_invitations(session: WriteSession, keep: timedelta, limit: int) -> int:
    is_old = ConnectionInvitation.expires_at < func.now() - keep
    return await delete_some(session, ConnectionInvitation, is_old, limit)


async def delete_person_invitations(session: WriteSession, user_id: UUID) -> int:
    """Deletes the invitations that a person sent or got, also those to an address that they have not confirmed."""
    has_address = _has_address(user_id)
    query = delete(ConnectionInvitation).where(or_(_is_party(user_id), has_address)).returning(ConnectionInvitation.id)
    return len((await session.execute(query, execution_options={"synchronize_session": False})).all())


async def stream_invitations(
    session: AsyncSession, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams the invitations that a person sent or got, the oldest first.

    An address counts as theirs once it is confirmed: before, it may be another person's.
    """
    table = ConnectionInvitation.__table__.c
    is_theirs = or_(_is_party(user_id), _has_address(user_id, User.email_verified_at.is_not(None)))
    query = select(*(table[name] for name in columns)).where(is_theirs).order_by(table.id)
    for row in (await session.execute(query)).mappings():
        yield row


def _is_party(user_id: UUID) -> ColumnElement[bool]:
    return or_(ConnectionInvitation.invited_by == user_id, ConnectionInvitation.accepted_by == user_id)


def _has_address(user_id: UUID, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(User.id == user_id, User.email_key == ConnectionInvitation.email_key, *conditions)


def _select_waiting(connection_id: UUID) -> Select[Any]:
    columns: Sequence[Any] = (
        ConnectionInvitation.id,
        ConnectionInvitation.email,
        ConnectionInvitation.role,
        _INVITER,
        ConnectionInvitation.created_at,
        ConnectionInvitation.expires_at,
        _IS_EXPIRED,
    )
    query = select(*columns).join(User, User.id == ConnectionInvitation.invited_by)
    return query.where(ConnectionInvitation.connection_id == connection_id, _IS_WAITING)


def _make_listed(row: Sequence[Any]) -> ListedInvitation:
    invitation_id, email, role, *rest = row
    return ListedInvitation(invitation_id, email, Role(role), *rest)


def _select_found(token_hash: bytes) -> Select[Any]:
    columns: Sequence[Any] = (
        ConnectionInvitation.id,
        ConnectionInvitation.connection_id,
        Connection.name,
        ConnectionInvitation.email_key,
        ConnectionInvitation.role,
        _INVITER,
        ConnectionInvitation.accepted_at.is_not(None),
        _IS_EXPIRED,
    )
    query = select(*columns).join(Connection, Connection.id == ConnectionInvitation.connection_id)
    return query.join(User, User.id == ConnectionInvitation.invited_by).where(
        ConnectionInvitation.token_hash == token_hash
    )
