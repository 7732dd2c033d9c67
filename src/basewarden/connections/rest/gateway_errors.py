"""Interprets responses that come from the gateway in front of PostgREST instead of PostgREST itself."""

from http import HTTPStatus
from typing import Any, Final

from basewarden.connections.errors import ConnectionFailed, Reason

_PAUSED = 540
# 52x and 530 come from the network in front of hosted projects, 544 from their gateway.
_UNAVAILABLE: Final = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 544})
_NOT_FORWARDED: Final = frozenset({503, 521, 522, 523, 525, 526, 530, _PAUSED})
_NO_DATABASE: Final = frozenset({"PGRST000", "PGRST001", "PGRST002", "PGRST003"})
_KEY_CODES = "PGRST3"


def is_postgrest_error(body: dict[str, Any]) -> bool:
    """True when a body has the two members that every error of PostgREST has."""
    return isinstance(body.get("code"), str) and isinstance(body.get("message"), str)


def is_key_refused(status: int, body: dict[str, Any]) -> bool:
    """True when the key was refused. PostgREST also answers 401 when the anonymous role lacks a privilege."""
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return False
    return not is_postgrest_error(body) or body["code"].startswith(_KEY_CODES)


def is_database_unavailable(body: dict[str, Any]) -> bool:
    """True when PostgREST reports that it cannot reach its database."""
    return body.get("code") in _NO_DATABASE


def is_not_forwarded(status: int, body: dict[str, Any]) -> bool:
    """True when the gateway did not forward the request to PostgREST."""
    return not is_postgrest_error(body) and status in _NOT_FORWARDED


def explain_response(status: int, body: dict[str, Any]) -> ConnectionFailed:
    """Explains a response that a project's API does not give to a valid request."""
    if is_key_refused(status, body):
        return ConnectionFailed(Reason.WRONG_KEY, field="key")
    if is_database_unavailable(body):
        return ConnectionFailed(Reason.NOT_READY, field="url")
    return ConnectionFailed(_find_reason(status), field="url")


def _find_reason(status: int) -> Reason:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Reason.REDIRECTS
    if status == _PAUSED:
        return Reason.PROJECT_PAUSED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Reason.TOO_MANY_REQUESTS
    return Reason.PROJECT_AWAY if status in _UNAVAILABLE else Reason.NOT_REST
