"""Whether a token's claims hold here and now, and who it says the caller is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pgrest.jwt.refusals import unacceptable_claims
from pgrest.jwt.rolepath import ROLE, RolePath, walk

_SKEW_SECONDS = 30
_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class Window:
    """The seconds at which a token's times hold, both ends included."""

    first: float = -math.inf
    last: float = math.inf


def check_claims(claims: Mapping[str, Any], audience: str | None, now: int) -> Window:
    """Raises for what does not hold `now`; else until when nothing but the time can change that."""
    expires = _read_time(claims, "exp")
    if expires is not None and now - _SKEW_SECONDS > expires:
        raise unacceptable_claims("JWT expired")
    starts = _read_time(claims, "nbf")
    if starts is not None and now + _SKEW_SECONDS < starts:
        raise unacceptable_claims("JWT not yet valid")
    issued = _read_time(claims, "iat")
    if issued is not None and now + _SKEW_SECONDS < issued:
        raise unacceptable_claims("JWT issued at future")
    _check_audience(claims.get("aud"), audience)
    begins = [time - _SKEW_SECONDS for time in (starts, issued) if time is not None]
    ends = math.inf if expires is None else expires + _SKEW_SECONDS
    return Window(max(begins, default=-math.inf), ends)


def find_role(claims: Mapping[str, Any], path: RolePath = ROLE) -> str | None:
    """A role that is no text is what its JSON spells, which then is no role of the database."""
    found = walk(claims, path)
    if found is None:
        return None
    return found.value if isinstance(found.value, str) else msgspec.json.encode(found.value).decode()


def _read_time(claims: Mapping[str, Any], name: str) -> int | None:
    """A number that is no whole second of 64 bits counts as 0, so as long past."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise unacceptable_claims(f"The JWT '{name}' claim must be a number")
    is_whole = isinstance(value, int) or value.is_integer()
    return int(value) if is_whole and -_LIMIT <= value < _LIMIT else 0


def _check_audience(given: Any, wanted: str | None) -> None:
    if given is None:
        return
    audiences = [given] if isinstance(given, str) else given
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise unacceptable_claims("The JWT 'aud' claim must be a string or an array of strings")
    if wanted is not None and audiences and wanted not in audiences:
        raise unacceptable_claims("JWT not in audience")
