"""The journal: every row change, in order, with the session it belongs to. Nothing committed is ever unrecorded."""

from basewarden.journal.errors import JournalUnavailable, SessionFrozen
from basewarden.journal.export import JOURNAL_PARTS
from basewarden.journal.leaving import JournalLeaving
from basewarden.journal.models import JournalMutation, JournalSession, JournalWrite
from basewarden.journal.partitions import ensure_partitions, partition_bounds
from basewarden.journal.pruning import list_journal_pruners
from basewarden.journal.queries import (
    INTENT_LIFE,
    MutationView,
    SessionSummary,
    find_oldest_pending_age,
    find_session,
    find_undo_of,
    list_mutations,
    list_row_history,
    list_sessions,
    lock_session,
)
from basewarden.journal.recorder import SESSION_TOPIC, Recorder
from basewarden.journal.refusals import Refusal, RefusalBook, count_refusals_by_agent, count_refusals_since
from basewarden.journal.service import get_session, mutation_body, session_body
from basewarden.journal.settle import Settler
from basewarden.journal.values import (
    Capture,
    Finish,
    Image,
    Kind,
    Recorded,
    RowChange,
    SessionCaller,
    State,
    Verb,
    WriteEntry,
    encode_key,
)

__all__ = [
    "INTENT_LIFE",
    "JOURNAL_PARTS",
    "SESSION_TOPIC",
    "Capture",
    "Finish",
    "Image",
    "JournalLeaving",
    "JournalMutation",
    "JournalSession",
    "JournalUnavailable",
    "JournalWrite",
    "Kind",
    "MutationView",
    "Recorded",
    "Recorder",
    "Refusal",
    "RefusalBook",
    "RowChange",
    "SessionCaller",
    "SessionFrozen",
    "SessionSummary",
    "Settler",
    "State",
    "Verb",
    "WriteEntry",
    "count_refusals_by_agent",
    "count_refusals_since",
    "encode_key",
    "ensure_partitions",
    "find_oldest_pending_age",
    "find_session",
    "find_undo_of",
    "get_session",
    "list_journal_pruners",
    "list_mutations",
    "list_row_history",
    "list_sessions",
    "lock_session",
    "mutation_body",
    "partition_bounds",
    "session_body",
]
