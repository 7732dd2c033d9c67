"""Errors for a token that is not accepted; the messages are PostgREST's."""

from pgrest.errors import PgrestError


def undecodable_token(message: str, details: str | None = None) -> PgrestError:
    return _refuse("PGRST301", message, details)


def unacceptable_claims(message: str) -> PgrestError:
    return _refuse("PGRST303", message)


def secret_missing() -> PgrestError:
    return PgrestError(500, "PGRST300", "Server lacks JWT secret")


def anonymous_disabled() -> PgrestError:
    return PgrestError(401, "PGRST302", "Anonymous access is disabled", headers=(("WWW-Authenticate", "Bearer"),))


def _refuse(code: str, message: str, details: str | None = None) -> PgrestError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return PgrestError(401, code, message, details, headers=(("WWW-Authenticate", challenge),))
