"""Which session a write belongs to, and how the journal describes the request."""

from dataclasses import replace
from urllib.parse import unquote_plus

from basewarden.gateway.caller import Caller
from basewarden.gateway.rest import RestCall
from basewarden.journal import Capture, SessionCaller

_LONGEST_SUMMARY = 500


def make_session_caller(caller: Caller, call: RestCall, *, capture: Capture = "statement") -> SessionCaller:
    own = caller.session_caller
    return own if call.label is None and capture == own.capture else replace(own, label=call.label, capture=capture)


def summarize_request(call: RestCall) -> str:
    """`PATCH /prices?id=eq.1`, cut to the length that the journal keeps."""
    query = f"?{unquote_plus(call.query.decode('latin-1'))}" if call.query else ""
    return f"{call.method} {call.path}{query}".replace("\0", "")[:_LONGEST_SUMMARY]
