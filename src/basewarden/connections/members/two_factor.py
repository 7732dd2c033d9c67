"""Requires two-factor authentication of the members of a connection. Agents are not affected."""

from datetime import UTC, datetime

from basewarden.audit import ClientInfo, EventKind
from basewarden.connections.callers import Membership
from basewarden.connections.errors import TwoFactorOff
from basewarden.connections.members.service import Members
from basewarden.connections.models import Role
from basewarden.connections.queries import update_connection
from basewarden.connections.targets import ConnectionTargets
from basewarden.db import WriteSession

_PART = "security"
"""The part of the connection's settings that it is."""


class TwoFactorRule:
    def __init__(self, *, members: Members, targets: ConnectionTargets) -> None:
        self._members = members
        self._targets = targets

    async def change(
        self, session: WriteSession, member: Membership, client_info: ClientInfo, *, is_required: bool
    ) -> None:
        """Holds at the next request of every member. The owner must have it on, so as not to lock themselves out."""
        if is_required and not member.person.has_two_factor:
            raise TwoFactorOff
        await self._members.lock(session, member, Role.OWNER)
        if member.connection.requires_two_factor == is_required:
            return
        changed_at = member.connection.changed_at | {_PART: datetime.now(UTC).isoformat()}
        values = {"requires_two_factor": is_required, "changed_at": changed_at}
        await update_connection(session, member.connection.id, values)
        await self._targets.announce_change(session, member.connection.id)
        kind = EventKind.TWOFACTOR_DEMANDED if is_required else EventKind.TWOFACTOR_NOT_DEMANDED
        await self._members.record(session, member, kind, client_info)
