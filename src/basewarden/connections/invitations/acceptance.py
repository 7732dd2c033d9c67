"""Accepts an invitation: once, by the account with the invited address."""

from functools import partial
from uuid import UUID

from basewarden.accounts import Person, make_email_key
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.billing import PlanLimit, Plans
from basewarden.connections.invitations import queries
from basewarden.connections.invitations.emails import InvitationEmails
from basewarden.connections.invitations.errors import (
    AddressUnverified,
    InvitationExpired,
    InvitationUsed,
    OtherAddress,
)
from basewarden.connections.invitations.queries import FoundInvitation
from basewarden.connections.members import queries as member_queries
from basewarden.connections.members.errors import AlreadyMember
from basewarden.connections.targets import ConnectionTargets
from basewarden.core.tokens import hash_token
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import NotFound

_UNKNOWN = "This invitation is not valid. It may have been revoked or replaced by a newer one."
_FULL = "This connection has as many members as its owner's plan allows. Ask its owner."


class Acceptance:
    def __init__(self, *, targets: ConnectionTargets, plans: Plans, emails: InvitationEmails, audit: Audit) -> None:
        self._targets = targets
        self._plans = plans
        self._emails = emails
        self._audit = audit

    async def check(self, session: ReadSession, token: str) -> FoundInvitation:
        """Returns what a token is for, and changes nothing. Raises NotFound, InvitationUsed or InvitationExpired."""
        return _require_usable(await queries.find_by_hash(session, _hash(token)))

    def check_address(self, invitation: FoundInvitation, person: Person) -> None:
        """Raises OtherAddress or AddressUnverified for an account that may not accept.

        Where no emails are sent, no address can be confirmed; the link itself, which the owner passes on, is the proof.
        """
        if make_email_key(person.email) != invitation.email_key:
            raise OtherAddress
        if self._emails.is_configured and not person.is_verified:
            raise AddressUnverified

    async def accept(
        self, session: WriteSession, token: str, person: Person, client_info: ClientInfo
    ) -> FoundInvitation:
        """Makes the person a member. Raises what `check` and `check_address` raise, AlreadyMember or PlanLimit."""
        found = await self.check(ReadSession(session), token)
        self.check_address(found, person)
        await self._take_room(session, found.connection_id)
        await member_queries.lock_connection(session, found.connection_id)
        found = _require_usable(await queries.lock_by_hash(session, _hash(token)))  # as it is now
        if not await member_queries.insert_member(session, found.connection_id, person.id, found.role):
            raise AlreadyMember
        await queries.set_accepted(session, found.id, person.id)
        await self._targets.announce_change(session, found.connection_id)
        await self._record(session, found, person, client_info)
        return found

    async def _take_room(self, session: WriteSession, connection_id: UUID) -> None:
        owner_id = await member_queries.find_owner_id(session, connection_id)
        if owner_id is None:
            raise NotFound(_UNKNOWN)
        try:
            count = partial(member_queries.count_members, session, connection_id)
            await self._plans.take_member_room(session, owner_id, count)
        except PlanLimit:
            raise PlanLimit(_FULL) from None

    async def _record(
        self, session: WriteSession, found: FoundInvitation, person: Person, client_info: ClientInfo
    ) -> None:
        details = {"connection": str(found.connection_id), "role": found.role.value, "name": found.connection_name}
        event = AccountEvent(person.audit_id, EventKind.INVITATION_ACCEPTED, client_info, details)
        await self._audit.record(session, event)


def _require_usable(found: FoundInvitation | None) -> FoundInvitation:
    if found is None:
        raise NotFound(_UNKNOWN)
    if found.is_accepted:
        raise InvitationUsed
    if found.is_expired:
        raise InvitationExpired
    return found


def _hash(token: str) -> bytes:
    """No token of ours has other characters, and half of one cannot be encoded."""
    return hash_token(token if token.isascii() else "")
