"""Checks that a caller is a member with a sufficient role. For others, the connection does not exist."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from basewarden.accounts import Person, SignedIn
from basewarden.connections.errors import TwoFactorRequired
from basewarden.connections.models import Connection, Role
from basewarden.connections.queries import list_openable
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
    """A dependency for routes under `{connection_id}`: 404 for non-members, 403 below the minimum role.

    403 also for a member without the second factor that the connection requires.
    """

    @callers(CallerKind.MEMBER, role=minimum)
    async def require_member(
        request: Request, connection_id: str, person: SignedIn, database: DatabaseDep, shell: ShellDep
    ) -> Membership:
        membership = await require_membership(connection_id, person, database)
        if needs_second_factor(membership.connection, person):
            raise TwoFactorRequired(membership.connection.id)
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
    """Finds a connection that a person may open, with their role, for the frame of a page that is not of it itself."""
    async with database.read_only() as session:
        openable = await list_openable(session, connection_id, [person_id])
        return await find_membership(session, connection_id, person_id) if openable else None


@callers(CallerKind.MEMBER, role=Role.VIEWER)
async def require_membership(connection_id: str, person: SignedIn, database: DatabaseDep) -> Membership:
    """404 for non-members. Only for what a member may know without the second factor that the connection requires."""
    wanted = parse_id(connection_id)
    if wanted is None:
        raise NotFound
    async with database.read_only() as session:
        found = await find_membership(session, wanted, person.id)
    if found is None:
        raise NotFound
    return Membership(*found, person)


def needs_second_factor(connection: Connection, person: Person) -> bool:
    return connection.requires_two_factor and not person.has_two_factor


MemberWithoutFactor = Annotated[Membership, Depends(require_membership)]
Viewer = Annotated[Membership, Depends(member(Role.VIEWER))]
Editor = Annotated[Membership, Depends(member(Role.EDITOR))]
Owner = Annotated[Membership, Depends(member(Role.OWNER))]
