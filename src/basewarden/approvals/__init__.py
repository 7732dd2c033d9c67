"""Approving what agents propose: routes and pages of members, and running what was approved."""

from basewarden.approvals.proposal_view import describe_proposal
from basewarden.approvals.waiting import NOTHING_WAITS, WaitingProposals, read_waiting

__all__ = [
    "NOTHING_WAITS",
    "WaitingProposals",
    "describe_proposal",
    "read_waiting",
]
