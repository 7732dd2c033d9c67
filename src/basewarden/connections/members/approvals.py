"""Whether an agent's writes need the approval of another person than the one who created it."""

from datetime import UTC, datetime

from basewarden.accounts import ReauthRequired
from basewarden.audit import ClientInfo, EventKind
from basewarden.connections.callers import Membership
from basewarden.connections.members.service import Members
from basewarden.connections.models import Role
from basewarden.connections.queries import update_connection
from basewarden.connections.targets import ConnectionTargets
from basewarden.db import WriteSession

_PART = "approvals"
"""The part of the connection's settings that it is."""


class ApprovalRule:
    def __init__(self, *, members: Members, targets: ConnectionTargets) -> None:
        self._members = members
        self._targets = targets

    async def change(
        self, session: WriteSession, member: Membership, client_info: ClientInfo, *, by_another: bool, is_fresh: bool
    ) -> None:
        """Holds for the next approval. Raises ReauthRequired where it is turned off without a recent sign-in."""
        await self._members.lock(session, member, Role.OWNER)
        if member.connection.approval_by_another == by_another:
            return
        if not by_another and not is_fresh:
            raise ReauthRequired
        changed_at = member.connection.changed_at | {_PART: datetime.now(UTC).isoformat()}
        values = {"approval_by_another": by_another, "changed_at": changed_at}
        await update_connection(session, member.connection.id, values)
        await self._targets.announce_change(session, member.connection.id)
        kind = EventKind.OTHER_APPROVER_DEMANDED if by_another else EventKind.OTHER_APPROVER_NOT_DEMANDED
        await self._members.record(session, member, kind, client_info)
