"""A project's key: its kind, the role that it claims, and how it is sent.

Signatures are not checked here, but by the project. The claimed role is only used for display and warnings.
"""

import base64
import binascii
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from basewarden.core.secret import Secret

_MAX_LENGTH = 4000
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_NAMED = re.compile(r"sb_(?P<kind>publishable|secret)_[A-Za-z0-9_-]{8,}\Z")
_OTHERS: Final = (
    ("sbp_", "This is a Supabase personal access token. Paste the project's API key instead."),
    ("bwa_", "This is a Basewarden agent token. Paste the project's API key instead."),
    ("postgres", "This is a Postgres connection string. Paste it into its own field."),
    ("http", "This is a URL. Paste the project's API key instead."),
    ("eyJ", "The key is incomplete: a JWT has three parts separated by dots."),
    ("sb_", "The key is incomplete, or its format is not known."),
)
_ANON, _SERVICE = "anon", "service_role"


class KeyKind(StrEnum):
    JWT = "jwt"
    PUBLISHABLE = "publishable"
    SECRET = "secret"  # noqa: S105 - a kind of key, not a key


class KeyRefused(ValueError):
    """Its text is a sentence for the person who pasted the key, and never contains the key."""


@dataclass(frozen=True, slots=True)
class ProjectKey:
    value: Secret
    kind: KeyKind
    role: str

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Returns the request headers; the new kinds are not JWTs and would be refused as a Bearer token."""
        value = self.value.reveal()
        if self.kind is KeyKind.JWT:
            return (("apikey", value), ("authorization", f"Bearer {value}"))
        return (("apikey", value),)


def parse_key(value: Secret) -> ProjectKey:
    text = value.reveal().strip().strip("\"'")
    if not text or len(text) > _MAX_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise KeyRefused("The key must be one line without spaces.")
    named = _NAMED.match(text)
    if named is not None:
        is_secret = named["kind"] == "secret"
        kind = KeyKind.SECRET if is_secret else KeyKind.PUBLISHABLE
        return ProjectKey(Secret(text), kind, _SERVICE if is_secret else _ANON)
    if _JWT.match(text):
        return ProjectKey(Secret(text), KeyKind.JWT, _read_role(text))
    found = next((sentence for start, sentence in _OTHERS if text.startswith(start)), None)
    raise KeyRefused(found or "This is not a Supabase project key: keys begin with eyJ, sb_publishable_ or sb_secret_.")


def _read_role(token: str) -> str:
    """Reads the role of a JWT; without one, PostgREST uses the anonymous role."""
    claims = _decode_part(token.split(".")[1])
    header = _decode_part(token.split(".", maxsplit=1)[0])
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise KeyRefused("This is not a valid JWT.")
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires <= time.time():
        raise KeyRefused("This key has expired. Copy the current one from the project's API settings.")
    role = claims.get("role", _ANON)
    if not isinstance(role, str) or not role or len(role.encode()) > 63 or not role.isprintable():
        raise KeyRefused("The role in this key is not a valid PostgreSQL name.")
    return role


def _decode_part(part: str) -> Any:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
