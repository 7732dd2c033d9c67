"""Requests of agents that policy refused, stored for the connection's members in a bounded number of rows per hour."""

from basewarden.journal.refusals.log import RefusalLog
from basewarden.journal.refusals.pruning import prune_refusals
from basewarden.journal.refusals.queries import list_session_refusals
from basewarden.journal.refusals.remedies import Remedies, read_remedies
from basewarden.journal.refusals.values import Refusal
from basewarden.journal.refusals.words import (
    REFUSAL_TITLES,
    REFUSAL_WORDS,
    describe_filter,
    describe_refused,
    explain_refusal,
)

__all__ = [
    "REFUSAL_TITLES",
    "REFUSAL_WORDS",
    "Refusal",
    "RefusalLog",
    "Remedies",
    "describe_filter",
    "describe_refused",
    "explain_refusal",
    "list_session_refusals",
    "prune_refusals",
    "read_remedies",
]
