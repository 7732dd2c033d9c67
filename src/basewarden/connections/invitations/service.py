"""Invites people to a connection, sends invitations again and revokes them."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.accounts import AccountLimits, Attempt, Attempts, Limit, Person, make_email_key
from basewarden.audit import ClientInfo, EventKind
from basewarden.billing import Plans
from basewarden.connections.callers import Membership
from basewarden.connections.invitations import queries
from basewarden.connections.invitations.emails import InvitationEmails
from basewarden.connections.invitations.errors import AddressUnverified
from basewarden.connections.invitations.links import TTL, InvitationLink, make_invitation_path
from basewarden.connections.invitations.queries import ListedInvitation
from basewarden.connections.members import queries as member_queries
from basewarden.connections.members.errors import AlreadyMember, TooManyMembers
from basewarden.connections.members.service import Members
from basewarden.connections.models import Role
from basewarden.core.ids import make_id, parse_id
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import NotFound
from basewarden.settings import Settings

MAX_PEOPLE = 200
INVITATIONS = Limit(30, 60 * 60)  # of one person
_ADDRESS_ADVICE = "This address got several emails in the last hours. Try again later."


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an invitation is for, and what it grants."""

    email: str
    role: Role

    @property
    def email_key(self) -> str:
        return make_email_key(self.email)


@dataclass(frozen=True, slots=True)
class SentInvitation:
    """`accept_url` is set where no email was sent: it is shown once, to be passed on."""

    id: UUID
    invited: Invited
    link: InvitationLink
    accept_url: str | None


class Invitations:
    def __init__(
        self,
        *,
        database: Database,
        members: Members,
        plans: Plans,
        attempts: Attempts,
        emails: InvitationEmails,
        settings: Settings,
    ) -> None:
        self._database = database
        self._members = members
        self._plans = plans
        self._attempts = attempts
        self._emails = emails
        self._origin = settings.origin

    @property
    def sends_emails(self) -> bool:
        return self._emails.is_configured

    async def get(self, session: ReadSession, connection_id: UUID, invitation_id: str) -> ListedInvitation:
        """Returns an invitation that was not accepted. Raises NotFound."""
        wanted = parse_id(invitation_id)
        found = await queries.find_invitation(session, connection_id, wanted) if wanted is not None else None
        if found is None:
            raise NotFound
        return found

    async def invite(
        self, session: WriteSession, member: Membership, invited: Invited, client_info: ClientInfo
    ) -> SentInvitation:
        """Invites an address, whether or not it has an account. A waiting invitation to it is replaced."""
        await self._check_may_send(member.person, invited)
        await self._prepare(session, member, invited)
        return await self._send(session, member, invited, client_info, EventKind.MEMBER_INVITED)

    async def resend(
        self, session: WriteSession, member: Membership, invitation_id: str, client_info: ClientInfo
    ) -> SentInvitation:
        """Sends an invitation again, also an expired one. Its earlier link no longer works."""
        async with self._database.read_only() as reading:
            found = await self.get(reading, member.connection.id, invitation_id)
        invited = Invited(found.email, found.role)
        await self._check_may_send(member.person, invited)
        await self._prepare(session, member, invited)
        await self.get(ReadSession(session), member.connection.id, invitation_id)  # it may have been revoked
        return await self._send(session, member, invited, client_info, EventKind.INVITATION_RESENT)

    async def revoke(
        self, session: WriteSession, member: Membership, invitation_id: str, client_info: ClientInfo
    ) -> None:
        await self._members.lock(session, member, Role.OWNER)
        wanted = parse_id(invitation_id)
        if wanted is None or not await queries.delete_invitation(session, member.connection.id, wanted):
            raise NotFound
        await self._members.record(session, member, EventKind.INVITATION_REVOKED, client_info)

    async def _check_may_send(self, person: Person, invited: Invited) -> None:
        """Counts an invitation, before the unit of work holds a connection.

        An email has the address of its sender in it, so that must be confirmed. Where no emails are sent, none can be.
        """
        attempts = [Attempt("invitations.person", str(person.id), INVITATIONS)]
        if self.sends_emails:
            if not person.is_verified:
                raise AddressUnverified("Confirm your own email address before you invite others.")
            limit = AccountLimits().address_emails
            attempts.append(Attempt("letters.address", invited.email_key, limit, advice=_ADDRESS_ADVICE))
        await self._attempts.acquire(*attempts)

    async def _prepare(self, session: WriteSession, member: Membership, invited: Invited) -> None:
        """Checks the plan and that the address is no member's, under locks that are held until the unit ends."""
        connection_id = member.connection.id
        await self._take_room(session, connection_id, invited)
        await self._members.lock(session, member, Role.OWNER)
        if await member_queries.has_member_with_address(session, connection_id, invited.email_key):
            raise AlreadyMember
        listed = (await queries.count_invitations(session, connection_id, but=invited.email_key)).listed
        if await member_queries.count_members(session, connection_id) + listed >= MAX_PEOPLE:
            raise TooManyMembers

    async def _take_room(self, session: WriteSession, connection_id: UUID, invited: Invited) -> None:
        """Counts members and the invitations that can still be accepted against the owner's plan."""

        async def count_people() -> int:
            counts = await queries.count_invitations(session, connection_id, but=invited.email_key)
            return await member_queries.count_members(session, connection_id) + counts.usable

        owner_id = await member_queries.find_owner_id(session, connection_id)
        if owner_id is None:
            raise NotFound
        await self._plans.take_member_room(session, owner_id, count_people)

    async def _send(
        self, session: WriteSession, member: Membership, invited: Invited, client_info: ClientInfo, kind: EventKind
    ) -> SentInvitation:
        token = make_opaque_token()
        invitation_id, expires_at = await queries.upsert_invitation(
            session,
            make_id(),
            connection_id=member.connection.id,
            email=invited.email,
            email_key=invited.email_key,
            role=invited.role,
            token_hash=hash_token(token),
            invited_by=member.person.id,
            ttl=TTL,
        )
        link = InvitationLink(self._origin + make_invitation_path(token), expires_at)
        await self._emails.enqueue(session, member, invited.email, invited.role, link)
        await self._members.record(session, member, kind, client_info, invited.role)
        return SentInvitation(invitation_id, invited, link, None if self.sends_emails else link.url)
