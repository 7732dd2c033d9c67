"""Sessions in lists: filters, counts by table and verb, titles in words."""

from basewarden.journal.sessions.queries import (
    SessionFilter,
    SessionPosition,
    find_search_end,
    find_session,
    list_callers,
    list_last_writes,
    list_sessions,
    list_tables,
    summarise_sessions,
)
from basewarden.journal.sessions.states import ACTIVE_WITHIN, RUNNING_WITHIN, UndoneRows
from basewarden.journal.sessions.summary import SessionSummary
from basewarden.journal.sessions.titles import (
    UndoOrigin,
    VerbCount,
    describe_cascades,
    describe_changes,
    describe_rows,
    describe_session,
    describe_write,
    name_one_row,
    show_name,
    sort_counts,
)

__all__ = [
    "ACTIVE_WITHIN",
    "RUNNING_WITHIN",
    "SessionFilter",
    "SessionPosition",
    "SessionSummary",
    "UndoOrigin",
    "UndoneRows",
    "VerbCount",
    "describe_cascades",
    "describe_changes",
    "describe_rows",
    "describe_session",
    "describe_write",
    "find_search_end",
    "find_session",
    "list_callers",
    "list_last_writes",
    "list_sessions",
    "list_tables",
    "name_one_row",
    "show_name",
    "sort_counts",
    "summarise_sessions",
]
