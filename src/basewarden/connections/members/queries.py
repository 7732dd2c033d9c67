"""All SQL of members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.accounts import User
from basewarden.connections.models import Connection, ConnectionMember, Role
from basewarden.db import WriteSession

_RANK = case({Role.OWNER: 0, Role.EDITOR: 1}, value=ConnectionMember.role, else_=2)


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member as the others see them. `audit_id` is their subject in the audit log."""

    user_id: UUID
    audit_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime
    has_two_factor: bool

    @property
    def shown_name(self) -> str:
        return self.name or self.email


async def list_members(session: AsyncSession, connection_id: UUID) -> list[ListedMember]:
    """Lists the owner first, then editors and viewers, each by the time when they joined."""
    query = _select_members(connection_id).order_by(_RANK, ConnectionMember.created_at, User.id)
    return [_make_member(row) for row in await session.execute(query)]


async def find_member(session: AsyncSession, connection_id: UUID, user_id: UUID) -> ListedMember | None:
    row = (await session.execute(_select_members(connection_id).where(User.id == user_id))).one_or_none()
    return _make_member(row) if row is not None else None


async def lock_connection(session: WriteSession, connection_id: UUID) -> bool:
    """Locks the connection, so that changes of its members run one after the other; False if it is gone.

    Comes after locks of people and before those of invitations.
    """
    query = select(Connection.id).where(Connection.id == connection_id).with_for_update(key_share=True)
    return await session.scalar(query) is not None


async def has_other_owner(session: WriteSession, connection_id: UUID, user_id: UUID) -> bool:
    others = select(ConnectionMember.user_id).where(
        ConnectionMember.connection_id == connection_id,
        ConnectionMember.role == Role.OWNER,
        ConnectionMember.user_id != user_id,
    )
    return bool(await session.scalar(select(others.exists())))


async def find_owner_id(session: AsyncSession, connection_id: UUID) -> UUID | None:
    """Finds the owner; of several, the one who has been a member for the longest time."""
    query = select(ConnectionMember.user_id).where(
        ConnectionMember.connection_id == connection_id, ConnectionMember.role == Role.OWNER
    )
    return await session.scalar(query.order_by(ConnectionMember.created_at, ConnectionMember.user_id).limit(1))


async def set_role(session: WriteSession, connection_id: UUID, user_id: UUID, role: Role) -> None:
    await session.execute(update(ConnectionMember).where(*_is_member(connection_id, user_id)).values(role=role))


async def delete_member(session: WriteSession, connection_id: UUID, user_id: UUID) -> None:
    await session.execute(delete(ConnectionMember).where(*_is_member(connection_id, user_id)))


async def insert_member(session: WriteSession, connection_id: UUID, user_id: UUID, role: Role) -> bool:
    """Returns False, and changes nothing, if the person is a member already."""
    query = insert(ConnectionMember).values(connection_id=connection_id, user_id=user_id, role=role)
    return await session.scalar(query.on_conflict_do_nothing().returning(ConnectionMember.user_id)) is not None


async def has_member_with_address(session: AsyncSession, connection_id: UUID, email_key: str) -> bool:
    query = (
        select(ConnectionMember.user_id)
        .join(User, User.id == ConnectionMember.user_id)
        .where(ConnectionMember.connection_id == connection_id, User.email_key == email_key)
    )
    return bool(await session.scalar(select(query.exists())))


async def count_members(session: AsyncSession, connection_id: UUID) -> int:
    return await session.scalar(select(func.count()).where(ConnectionMember.connection_id == connection_id)) or 0


def _is_member(connection_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (ConnectionMember.connection_id == connection_id, ConnectionMember.user_id == user_id)


def _select_members(connection_id: UUID) -> Select[Any]:
    columns: Sequence[Any] = (
        User.id,
        User.audit_id,
        User.name,
        User.email,
        ConnectionMember.role,
        ConnectionMember.created_at,
        User.sealed_totp_secret.is_not(None),
    )
    query = select(*columns).join(ConnectionMember, ConnectionMember.user_id == User.id)
    return query.where(ConnectionMember.connection_id == connection_id)


def _make_member(row: Sequence[Any]) -> ListedMember:
    user_id, audit_id, name, email, role, joined_at, has_two_factor = row
    return ListedMember(user_id, audit_id, name, email, Role(role), joined_at, has_two_factor)
