"""Removes a deleted person from connections."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.connections import queries
from basewarden.connections.invitations.queries import delete_person_invitations
from basewarden.connections.targets import ConnectionTargets
from basewarden.db import ReadSession, WriteSession


class ConnectionErasure:
    """Blocks the deletion of sole owners. What a person created on a connection is kept without their name."""

    def __init__(self, targets: ConnectionTargets) -> None:
        self._targets = targets

    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:
        """Each leads to where its ownership can be transferred or, without other members, to where it is deleted."""
        rows = await queries.list_solely_owned(session, person_id)
        return [
            Blocker(connection_id, name, f"/c/{connection_id}/{'members' if has_members else 'settings'}")
            for connection_id, name, has_members in rows
        ]

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        await queries.lock_owned_connections(session, person_id)

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        """Deletes memberships and invitations, and announces that to every process: roles are cached for seconds."""
        left = await queries.delete_memberships(session, person_id)
        for connection_id in left:
            await self._targets.announce_change(session, connection_id)
        invitations = await delete_person_invitations(session, person_id)
        return {"connection_members": len(left), "connection_invitations": invitations}
