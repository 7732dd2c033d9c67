"""What a project's answer means that did not come from PostgREST itself, but from what stands before it."""

from http import HTTPStatus
from typing import Any, Final

from basewarden.connections.errors import ConnectionFailed, Reason

_PAUSED = 540
# 52x and 530 are of the network before hosted projects, 544 of their gateway.
_AWAY: Final = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 544})
_NOT_REACHED: Final = frozenset({503, 521, 522, 523, 525, 526, 530, _PAUSED})
_NO_DATABASE: Final = frozenset({"PGRST000", "PGRST001", "PGRST002", "PGRST003"})
_KEY_CODES = "PGRST3"


def is_of_postgrest(told: dict[str, Any]) -> bool:
    """Its errors always have these."""
    return isinstance(told.get("code"), str) and isinstance(told.get("message"), str)


def is_key_refused(status: int, told: dict[str, Any]) -> bool:
    """Not so where the database denies the anonymous role something: PostgREST says 401 then, too."""
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return False
    return not is_of_postgrest(told) or told["code"].startswith(_KEY_CODES)


def has_no_database(told: dict[str, Any]) -> bool:
    """PostgREST's own words for it."""
    return told.get("code") in _NO_DATABASE


def is_unreached(status: int, told: dict[str, Any]) -> bool:
    """Whether the gateway says that it did not get as far as PostgREST."""
    return not is_of_postgrest(told) and status in _NOT_REACHED


def explain_answer(status: int, told: dict[str, Any]) -> ConnectionFailed:
    """Why an answer with this status, and this for a body, is not one that a project's API gives to a good request."""
    if is_key_refused(status, told):
        return ConnectionFailed(Reason.WRONG_KEY, field="key")
    if has_no_database(told):
        return ConnectionFailed(Reason.NOT_READY, field="url")
    return ConnectionFailed(_find_reason(status), field="url")


def _find_reason(status: int) -> Reason:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Reason.REDIRECTS
    if status == _PAUSED:
        return Reason.PROJECT_PAUSED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Reason.TOO_MANY_REQUESTS
    return Reason.PROJECT_AWAY if status in _AWAY else Reason.NOT_REST
