"""What is kept of an agent's request that policy refused: who, what, why, and no value of a row or a filter."""

import re
from typing import Final
from urllib.parse import unquote_plus

from basewarden.errors import AppError
from basewarden.gateway.caller import Caller
from basewarden.gateway.guarding import spell_column
from basewarden.gateway.rest import RestCall
from basewarden.journal import Refusal
from basewarden.policy import EgressBlocked
from pgrest import RestConfig

POLICY_CODES: Final = frozenset(
    {
        "read_only",
        "table_denied",
        "column_denied",
        "filter_required",
        "row_limit",
        "session_frozen",
        "budget_exceeded",
        "too_many_proposals",
        "agent_paused",
        "agent_frozen",
        "connection_frozen",
        "capture_unsupported",
        "capture_blind",
        "egress_blocked",
    }
)
MAX_SUMMARY: Final = 200
_MAX_PART: Final = 63
# By name: an argument of a function may hold a dot, too.
_OPERATOR = re.compile(
    r"(?:not\.)?(?:eq|neq|gte?|lte?|i?like|i?match|in|is|isdistinct|cs|cd|ov|sl|sr|nxr|nxl|adj|(?:|pl|ph|w)fts)(?=[.(])"
)
_NO_FILTER: Final = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict"})
_PROFILES: Final = (b"content-profile", b"accept-profile")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\uffff]")


def describe_refusal(caller: Caller, call: RestCall, config: RestConfig, error: AppError) -> Refusal | None:
    """None for what is no refusal by policy, or no agent's."""
    if not caller.is_agent or error.code not in POLICY_CODES:
        return None
    return Refusal(
        connection_id=caller.connection.id,
        agent_id=caller.id,
        agent_name=caller.name,
        code=error.code,
        method=_clean(call.method),
        table=_name_table(call, config),
        summary=_summarise(call),
        label=call.label,
        row_limit=caller.max_rows if error.code == "row_limit" else None,
        after_reading=tuple(map(spell_column, error.reads)) if isinstance(error, EgressBlocked) else (),
    )


def _name_table(call: RestCall, config: RestConfig) -> str | None:
    """`schema.table`, and `rpc/schema.function`, as an agent's list names them."""
    path = call.path.removeprefix("/")
    kind, name = ("rpc/", path.removeprefix("rpc/")) if path.startswith("rpc/") else ("", path)
    named = next((value.decode("latin-1") for key, value in call.headers if key in _PROFILES), "")
    return f"{kind}{_clean(named) or config.schemas[0]}.{_clean(name)}" if name else None


def _summarise(call: RestCall) -> str:
    """`PATCH /prices?id=eq.…`: columns and operators."""
    shown = (part.partition("=") for part in call.query.decode("latin-1").split("&") if part)
    filters = [(unquote_plus(name), unquote_plus(value)) for name, _, value in shown]
    parts = [f"{_clean(name)}={_keep_operator(value)}" for name, value in filters if name not in _NO_FILTER]
    query = f"?{'&'.join(parts)}" if parts else ""
    return f"{_clean(call.method)} /{_clean(call.path.removeprefix('/'))}{query}"[:MAX_SUMMARY]


def _keep_operator(value: str) -> str:
    found = _OPERATOR.match(value)
    return f"{found[0]}.…" if found else "…"


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)[:_MAX_PART]
