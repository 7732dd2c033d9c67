"""Errors of accounts, with the contract's codes."""

from basewarden.errors import AppError, BadRequest, Conflict, Forbidden, Unauthenticated


class InvalidCredentials(AppError):
    status = 401
    code = "invalid_credentials"
    message = "The email address or the password is wrong."


class MfaRequired(Unauthenticated):
    """The password was right; the second factor is missing."""

    code = "mfa_required"
    message = "Enter your two-factor code first."


class ReauthRequired(Forbidden):
    code = "reauth_required"
    message = "Confirm your identity: this needs a sign-in within the last 10 minutes."


class BadPassword(BadRequest):
    code = "bad_password"
    message = "The password is wrong."


class BadCode(BadRequest):
    code = "bad_code"
    message = "The code is wrong, or it was already used."


class OAuthOnly(Conflict):
    code = "oauth_only"
    message = "This account has no password. Sign in another way."


class AlreadyOn(Conflict):
    code = "already_on"
    message = "Two-factor authentication is already on."


class LinkUsed(Conflict):
    code = "link_used"
    message = "This link was already used."


class LinkExpired(AppError):
    status = 410
    code = "link_expired"
    message = "This link has expired. Request a new one."


class SoleOwner(Conflict):
    """`details` lists what would lose its owner: id, name."""

    code = "sole_owner"
    message = "You are the only owner of some connections. Transfer their ownership to other members, or delete them."
