"""Errors of members, with the contract's codes."""

from basewarden.errors import Conflict


class LastOwner(Conflict):
    code = "last_owner"
    message = "A connection needs an owner. Make another member the owner first, or delete the connection."


class AlreadyMember(Conflict):
    code = "already_member"
    message = "This person is already a member of the connection."


class TooManyMembers(Conflict):
    code = "too_many_members"
    message = "A connection has at most 200 members and open invitations. Remove some of them first."
