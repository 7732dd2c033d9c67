"""Says in words what a refused request was to do, and why it was refused."""

import re

from basewarden.core.brief import make_brief
from basewarden.journal.models import JournalRefusal
from basewarden.journal.sessions.titles import show_name

CONDITIONS_SHOWN = 2
COLUMNS_SHOWN = 2
_RPC = "rpc/"
_WORD = re.compile(r"\w+")
_CONDITION = re.compile(r"(\w+)=(?:eq|neq|gt|gte|lt|lte|in|is|like|ilike)\.…")
_REFUSED_VERBS = {"POST": "add to", "PUT": "add to", "PATCH": "change", "DELETE": "delete", "GET": "read"}
_NOT_DONE = {"POST": "added", "DELETE": "deleted"}
REFUSAL_WORDS = {
    "read_only": "the token is read-only",
    "table_denied": "the table is not on the token's list, or it or a column that is hidden there has another name now",
    "column_denied": "the token may not use that column in this way",
    "egress_blocked": "the agent had read sensitive columns, and others can read what it was to write",
    "budget_exceeded": "its rows of this hour are used up",
    "too_many_proposals": "too many of its writes wait for an approval",
    "filter_required": "an update or delete needs a filter",
    "row_limit": "the write would change too many rows",
    "session_frozen": "the session is frozen",
    "agent_paused": "the agent is paused",
    "agent_frozen": "the agent is frozen",
    "connection_frozen": "all agents are frozen",
    "capture_unsupported": "this kind of write cannot be recorded",
    "capture_blind": "the connection's role cannot see every row",
}
REFUSAL_TITLES = {
    "read_only": "Read-only",
    "table_denied": "Table not allowed",
    "column_denied": "Column not allowed",
    "egress_blocked": "Guard",
    "budget_exceeded": "Rows of the hour used up",
    "too_many_proposals": "Too many proposals",
    "filter_required": "No filter",
    "row_limit": "Too many rows",
    "session_frozen": "Session frozen",
    "agent_paused": "Agent paused",
    "agent_frozen": "Agent frozen",
    "connection_frozen": "All agents frozen",
    "capture_unsupported": "Cannot be recorded",
    "capture_blind": "Rows not visible",
}
"""The reasons as filters of the list name them."""


def describe_refused(refusal: JournalRefusal, *, is_message: bool = False) -> str:
    """Returns "delete orders": what a refused request was to do.

    In a message that leaves this deployment, a name of several words is left out: the agent has sent it, and it may be
    none of a table but a sentence of the agent's.
    """
    verb = _REFUSED_VERBS.get(refusal.method, refusal.method)
    table = refusal.table or ""
    name = table.rpartition(".")[2]
    if is_message and name and not _WORD.fullmatch(name):
        return f"{verb} {'a function' if table.startswith(_RPC) else 'a table'}"
    return f"{verb} {show_name(name)}".strip()


def explain_refusal(refusal: JournalRefusal) -> str:
    """Returns "it would have written to a public table after reading customers.email": why a request was refused."""
    if refusal.row_limit is not None:
        limit = f"{refusal.row_limit:,} {'row' if refusal.row_limit == 1 else 'rows'}"
        done = _NOT_DONE.get(refusal.method, "changed")
        return f"over the limit of {limit} per write, with rows by foreign keys; nothing was {done}"
    if not refusal.after_reading:
        return REFUSAL_WORDS.get(refusal.code, refusal.code)
    names = [name.removeprefix("public.") for name in refusal.after_reading]
    shown = ", ".join(show_name(name) for name in names[:COLUMNS_SHOWN])
    more = f" and {len(names) - COLUMNS_SHOWN} more" if len(names) > COLUMNS_SHOWN else ""
    return f"it would have written to a public table after reading {shown}{more}"


def describe_filter(summary: str) -> str:
    """Returns "filter on placed_at" for a request that compares plain columns; else "". Values are not stored."""
    conditions = [_CONDITION.fullmatch(part) for part in summary.partition("?")[2].split("&")]
    columns = list(dict.fromkeys(make_brief(match[1]) for match in conditions if match is not None))
    if not columns or None in conditions or len(columns) > CONDITIONS_SHOWN:
        return ""
    return f"filter on {' and '.join(columns)}"
