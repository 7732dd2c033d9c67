"""Errors of invitations, with the contract's codes."""

from basewarden.errors import AppError, Conflict, Forbidden


class InvitationUsed(Conflict):
    code = "invitation_used"
    message = "This invitation was already accepted."


class InvitationExpired(AppError):
    status = 410
    code = "invitation_expired"
    message = "This invitation has expired. Ask for a new one."


class OtherAddress(Forbidden):
    code = "other_address"
    message = "This invitation was sent to another email address. Sign in with the account that has that address."


class AddressUnverified(Forbidden):
    code = "address_unverified"
    message = "Confirm your email address first: use the link that we sent to it."
