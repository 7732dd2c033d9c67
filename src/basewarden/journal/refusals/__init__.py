"""Requests of agents that policy refused, stored for the connection's members in a bounded number of rows per hour."""

from basewarden.journal.refusals.log import RefusalLog
from basewarden.journal.refusals.pruning import prune_refusals
from basewarden.journal.refusals.queries import list_session_refusals
from basewarden.journal.refusals.values import Refusal

__all__ = [
    "Refusal",
    "RefusalLog",
    "list_session_refusals",
    "prune_refusals",
]
