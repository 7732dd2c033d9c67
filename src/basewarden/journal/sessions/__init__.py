"""Sessions in lists: filters, counts by table and verb, titles in words."""

from basewarden.journal.sessions.queries import (
    ACTIVE_WITHIN,
    SessionFilter,
    SessionPosition,
    find_session,
    list_sessions,
)
from basewarden.journal.sessions.summary import SessionSummary
from basewarden.journal.sessions.titles import (
    UndoOrigin,
    VerbCount,
    clean_name,
    describe_cascades,
    describe_changes,
    describe_rows,
    describe_session,
)

__all__ = [
    "ACTIVE_WITHIN",
    "SessionFilter",
    "SessionPosition",
    "SessionSummary",
    "UndoOrigin",
    "VerbCount",
    "clean_name",
    "describe_cascades",
    "describe_changes",
    "describe_rows",
    "describe_session",
    "find_session",
    "list_sessions",
]
