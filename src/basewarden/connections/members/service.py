"""Changes roles, removes members and transfers the ownership. Every change holds at the next request everywhere."""

from functools import partial
from uuid import UUID

from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.billing import PlanLimit, Plans
from basewarden.connections.callers import Membership
from basewarden.connections.members import queries
from basewarden.connections.members.errors import LastOwner
from basewarden.connections.members.queries import ListedMember
from basewarden.connections.models import Role
from basewarden.connections.queries import count_owned
from basewarden.connections.targets import ConnectionTargets
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import Forbidden, Invalid, NotFound


class Members:
    def __init__(self, *, targets: ConnectionTargets, plans: Plans, audit: Audit) -> None:
        self._targets = targets
        self._plans = plans
        self._audit = audit

    async def get(self, session: ReadSession | WriteSession, connection_id: UUID, user_id: str) -> ListedMember:
        """Raises NotFound for anything but the id of a member."""
        wanted = parse_id(user_id)
        found = await queries.find_member(session, connection_id, wanted) if wanted is not None else None
        if found is None:
            raise NotFound
        return found

    async def change_role(
        self, session: WriteSession, member: Membership, user_id: str, role: Role, client_info: ClientInfo
    ) -> ListedMember:
        """Makes a member an editor or a viewer. The same role again changes nothing."""
        await self.lock(session, member, Role.OWNER)
        changed = await self.get(session, member.connection.id, user_id)
        if changed.role is role:
            return changed
        if changed.role is Role.OWNER:
            await _require_other_owner(session, member.connection.id, changed.user_id)
        await self._set_role(session, member, changed, role)
        await self.record(session, member, EventKind.MEMBER_ROLE_CHANGED, client_info, role)
        await self._notify(session, member, changed, EventKind.OWN_ROLE_CHANGED, role)
        return await self.get(session, member.connection.id, user_id)

    async def remove(self, session: WriteSession, member: Membership, user_id: str, client_info: ClientInfo) -> None:
        """Removes a member. Everyone may leave; removing another member needs an owner."""
        is_own = user_id.lower() == str(member.person.id)
        await self.lock(session, member, Role.VIEWER if is_own else Role.OWNER)
        removed = await self.get(session, member.connection.id, user_id)
        if removed.role is Role.OWNER:
            await _require_other_owner(session, member.connection.id, removed.user_id)
        await queries.delete_member(session, member.connection.id, removed.user_id)
        await self._targets.announce_change(session, member.connection.id)
        if is_own:
            await self.record(session, member, EventKind.MEMBER_LEFT, client_info)
        else:
            await self.record(session, member, EventKind.MEMBER_REMOVED, client_info)
            await self._notify(session, member, removed, EventKind.OWN_MEMBERSHIP_ENDED)

    async def transfer(
        self, session: WriteSession, member: Membership, user_id: str, client_info: ClientInfo
    ) -> ListedMember:
        """Makes another member the owner, and the caller an editor. The new owner's plan must have room for it."""
        successor = await self.get(session, member.connection.id, user_id)
        if successor.user_id == member.person.id:
            raise Invalid.field("userId", "You are the owner already. Choose another member.")
        await self._take_room(session, successor)
        await self.lock(session, member, Role.OWNER)
        successor = await self.get(session, member.connection.id, user_id)  # they may have left before the lock
        await self._set_role(session, member, successor, Role.OWNER)
        await queries.set_role(session, member.connection.id, member.person.id, Role.EDITOR)
        await self.record(session, member, EventKind.OWNERSHIP_GIVEN, client_info)
        await self._notify(session, member, successor, EventKind.OWNERSHIP_RECEIVED)
        return await self.get(session, member.connection.id, user_id)

    async def _take_room(self, session: WriteSession, successor: ListedMember) -> None:
        if successor.role is Role.OWNER:
            return
        try:
            await self._plans.take_room(session, successor.user_id, partial(count_owned, session, successor.user_id))
        except PlanLimit:
            raise PlanLimit(f"The plan of {successor.shown_name} has no room for another connection.") from None

    async def lock(self, session: WriteSession, member: Membership, minimum: Role) -> None:
        """Locks the connection, and checks the caller's role again, which may have changed since the request began."""
        if not await queries.lock_connection(session, member.connection.id):
            raise NotFound
        caller = await queries.find_member(session, member.connection.id, member.person.id)
        if caller is None:
            raise NotFound
        if not caller.role.includes(minimum):
            raise Forbidden("Only an owner of this connection may do this.")

    async def _set_role(self, session: WriteSession, member: Membership, changed: ListedMember, role: Role) -> None:
        await queries.set_role(session, member.connection.id, changed.user_id, role)
        await self._targets.announce_change(session, member.connection.id)

    async def record(
        self,
        session: WriteSession,
        member: Membership,
        kind: EventKind,
        client_info: ClientInfo,
        role: Role | None = None,
    ) -> None:
        event = AccountEvent(member.person.audit_id, kind, client_info, _describe(member, role))
        await self._audit.record(session, event)

    async def _notify(
        self,
        session: WriteSession,
        member: Membership,
        affected: ListedMember,
        kind: EventKind,
        role: Role | None = None,
    ) -> None:
        """Records the change in the activity of the member whom it affects, without the client that made it."""
        if affected.user_id != member.person.id:
            event = AccountEvent(affected.audit_id, kind, details=_describe(member, role))
            await self._audit.record(session, event)


async def _require_other_owner(session: WriteSession, connection_id: UUID, user_id: UUID) -> None:
    if not await queries.has_other_owner(session, connection_id, user_id):
        raise LastOwner


def _describe(member: Membership, role: Role | None) -> dict[str, str]:
    details = {"connection": str(member.connection.id), "name": member.connection.name}
    return details if role is None else details | {"role": role.value}
