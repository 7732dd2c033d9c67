"""JSON web tokens as PostgREST takes them: keys, signatures, claims, and where the role is in them."""

from dataclasses import dataclass

from pgrest.jwt.claims import Window, check_claims, find_role
from pgrest.jwt.keys import BadKeysError, JwtKey, read_keys
from pgrest.jwt.refusals import anonymous_disabled, secret_missing
from pgrest.jwt.rolepath import ROLE, RolePath, parse_role_path, spell_role_path
from pgrest.jwt.tokens import verify_token


@dataclass(frozen=True, slots=True)
class JwtRules:
    """`keys` None means that no token is taken at all."""

    keys: tuple[JwtKey, ...] | None = None
    audience: str | None = None
    role_path: RolePath = ROLE


__all__ = [
    "BadKeysError",
    "JwtKey",
    "JwtRules",
    "Window",
    "anonymous_disabled",
    "check_claims",
    "find_role",
    "parse_role_path",
    "read_keys",
    "secret_missing",
    "spell_role_path",
    "verify_token",
]
