"""The journal: every row change, in order, with its session. Every committed change is recorded."""

from basewarden.journal.activity import (
    LatestActivity,
    Progress,
    RowsWritten,
    count_activity,
    count_rows_written,
    find_progress,
    list_latest_activity,
    list_latest_refusals,
)
from basewarden.journal.errors import JournalUnavailable, SessionFrozen
from basewarden.journal.models import JournalMutation, JournalRefusal, JournalSession, JournalWrite
from basewarden.journal.partitions import ensure_partitions, partition_bounds
from basewarden.journal.pruning import list_journal_pruners
from basewarden.journal.queries import (
    INTENT_LIFE,
    count_request_rows,
    count_session_rows,
    find_member_write,
    find_oldest_pending_age,
    find_undo_of,
    list_row_history,
    list_session_rows,
    list_write_mutations,
)
from basewarden.journal.reconciler import Reconciler
from basewarden.journal.recorder import SESSION_TOPIC, Recorder
from basewarden.journal.refusals import Refusal, RefusalLog
from basewarden.journal.routes import ReconcilerDep
from basewarden.journal.row_names import RecordedRow, RowNames, RowNamesDep
from basewarden.journal.sessions import (
    ACTIVE_WITHIN,
    SessionSummary,
    UndoneRows,
    UndoOrigin,
    VerbCount,
    describe_changes,
    describe_session,
    find_session,
    list_sessions,
)
from basewarden.journal.shown_rows import split_changed_columns
from basewarden.journal.timeline import REFUSAL_WORDS, describe_refused, describe_writes
from basewarden.journal.values import (
    Capture,
    Image,
    IntentOutcome,
    Kind,
    Recorded,
    RowChange,
    SessionCaller,
    UncapturedChanges,
    Verb,
    WriteEntry,
    encode_key,
)

__all__ = [
    "ACTIVE_WITHIN",
    "INTENT_LIFE",
    "REFUSAL_WORDS",
    "SESSION_TOPIC",
    "Capture",
    "Image",
    "IntentOutcome",
    "JournalMutation",
    "JournalRefusal",
    "JournalSession",
    "JournalUnavailable",
    "JournalWrite",
    "Kind",
    "LatestActivity",
    "Progress",
    "Reconciler",
    "ReconcilerDep",
    "Recorded",
    "RecordedRow",
    "Recorder",
    "Refusal",
    "RefusalLog",
    "RowChange",
    "RowNames",
    "RowNamesDep",
    "RowsWritten",
    "SessionCaller",
    "SessionFrozen",
    "SessionSummary",
    "UncapturedChanges",
    "UndoOrigin",
    "UndoneRows",
    "Verb",
    "VerbCount",
    "WriteEntry",
    "count_activity",
    "count_request_rows",
    "count_rows_written",
    "count_session_rows",
    "describe_changes",
    "describe_refused",
    "describe_session",
    "describe_writes",
    "encode_key",
    "ensure_partitions",
    "find_member_write",
    "find_oldest_pending_age",
    "find_progress",
    "find_session",
    "find_undo_of",
    "list_journal_pruners",
    "list_latest_activity",
    "list_latest_refusals",
    "list_row_history",
    "list_session_rows",
    "list_sessions",
    "list_write_mutations",
    "partition_bounds",
    "split_changed_columns",
]
