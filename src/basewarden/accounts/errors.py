"""What accounts refuse, with the contract's codes."""

from basewarden.errors import AppError, BadRequest, Conflict, Forbidden, Unauthenticated


class InvalidCredentials(AppError):
    status = 401
    code = "invalid_credentials"
    message = "The e-mail address or the password is wrong."


class MfaRequired(Unauthenticated):
    """The password was right; the second factor has yet to come."""

    code = "mfa_required"
    message = "Enter the code of your second factor first."


class ReauthRequired(Forbidden):
    code = "reauth_required"
    message = "Confirm that it is you: this needs a sign-in of the last 10 minutes."


class BadPassword(BadRequest):
    code = "bad_password"
    message = "The password is wrong."


class BadCode(BadRequest):
    code = "bad_code"
    message = "The code is wrong, or it was used already."


class OAuthOnly(Conflict):
    code = "oauth_only"
    message = "This account has no password: it signs in elsewhere."


class AlreadyOn(Conflict):
    code = "already_on"
    message = "Two-factor sign-in is on already."


class LinkUsed(Conflict):
    code = "link_used"
    message = "This link was used already."


class LinkExpired(AppError):
    status = 410
    code = "link_expired"
    message = "This link is no longer good. Ask for a new one."


class SoleOwner(Conflict):
    """`details` lists what would be left without an owner: id, name."""

    code = "sole_owner"
    message = "You are the only owner of some connections. Delete them first."
