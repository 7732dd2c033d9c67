"""Errors of passkeys."""

from basewarden.errors import BadRequest, Conflict


class BadPasskey(BadRequest):
    """One error for every failed verification, so that an attacker learns nothing from it."""

    code = "bad_passkey"
    message = "This passkey could not be verified. Try again."


class PasskeyTaken(Conflict):
    code = "passkey_taken"
    message = "This passkey is already registered."


class TooManyPasskeys(Conflict):
    code = "too_many_passkeys"
    message = "An account has at most 20 passkeys. Remove one first."


class NoPasskey(Conflict):
    code = "no_passkey"
    message = "This account has no passkey."


class LastSignInMethod(Conflict):
    code = "last_way_in"
    message = "This passkey is the only way to sign in to this account. Set a password first."
