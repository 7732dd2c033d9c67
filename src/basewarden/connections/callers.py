"""Checks that a caller is a member with a sufficient role. For others, the connection does not exist."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from basewarden.accounts import Person, SignedIn
from basewarden.connections.models import Connection, Role
from basewarden.connections.service import find_membership, list_connections
from basewarden.core.ids import parse_id
from basewarden.core.logs import bind_log_context
from basewarden.db import Database
from basewarden.errors import Forbidden, NotFound
from basewarden.web import CallerKind, DatabaseDep, ShellDep, callers

MAX_IN_SIDEBAR = 50


@dataclass(frozen=True, slots=True)
class Membership:
    connection: Connection
    role: Role
    person: Person


def member(minimum: Role) -> Callable[..., Coroutine[Any, Any, Membership]]:
    """A dependency for routes under `{connection_id}`: 404 for non-members, 403 below the minimum role."""

    @callers(CallerKind.MEMBER, role=minimum)
    async def require_member(
        request: Request, connection_id: str, person: SignedIn, database: DatabaseDep, shell: ShellDep
    ) -> Membership:
        membership = await _find_membership(database, connection_id, person)
        if membership is None:
            raise NotFound
        request.state.connection = membership.connection
        request.state.role = membership.role
        await shell.fill_counts(request, membership.connection.id)
        bind_log_context(connection=str(membership.connection.id))
        if not membership.role.includes(minimum):
            raise Forbidden(f"Only an {minimum} of this connection may do this.")
        return membership

    return require_member


async def list_sidebar_connections(database: Database, person_id: UUID) -> list[Connection]:
    """Lists a person's connections for the sidebar of every page."""
    async with database.read_only() as session:
        rows = await list_connections(session, person_id, before=None, limit=MAX_IN_SIDEBAR)
    return [connection for connection, _ in rows]


async def find_sidebar_connection(
    database: Database, connection_id: UUID, person_id: UUID
) -> tuple[Connection, Role] | None:
    """Finds a person's connection with their role, for the frame of a page that is not of the connection itself."""
    async with database.read_only() as session:
        return await find_membership(session, connection_id, person_id)


async def _find_membership(database: Database, connection_id: str, person: Person) -> Membership | None:
    wanted = parse_id(connection_id)
    if wanted is None:
        return None
    async with database.read_only() as session:
        found = await find_membership(session, wanted, person.id)
    return Membership(*found, person) if found else None


Viewer = Annotated[Membership, Depends(member(Role.VIEWER))]
Editor = Annotated[Membership, Depends(member(Role.EDITOR))]
Owner = Annotated[Membership, Depends(member(Role.OWNER))]
