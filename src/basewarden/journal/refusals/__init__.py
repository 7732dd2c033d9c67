"""Requests of agents that policy refused: kept for the connection's members, a bounded number of rows an hour."""

from basewarden.journal.refusals.book import RefusalBook
from basewarden.journal.refusals.pruning import prune_refusals
from basewarden.journal.refusals.queries import count_refusals_by_agent, count_refusals_since, list_session_refusals
from basewarden.journal.refusals.values import Refusal

__all__ = [
    "Refusal",
    "RefusalBook",
    "count_refusals_by_agent",
    "count_refusals_since",
    "list_session_refusals",
    "prune_refusals",
]
