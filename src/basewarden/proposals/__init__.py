"""Proposals: writes of agents that wait for a person's approval. Knows nothing of how a write is run."""

from basewarden.proposals.claims import Claims, Decider
from basewarden.proposals.errors import (
    ApprovalRequired,
    NothingProposed,
    OtherApproverRequired,
    ProposalDecided,
    ProposalExpired,
    ProposalFailed,
    ProposalStale,
    ProposalTooLarge,
    ProposalUnsettled,
    TooManyProposals,
)
from basewarden.proposals.models import Proposal
from basewarden.proposals.pins import WritePins, find_difference, list_made_columns
from basewarden.proposals.queries import (
    find_creator_rule,
    list_changed_proposals,
    list_proposals_by_id,
    list_proposing_agents,
)
from basewarden.proposals.service import (
    Proposals,
    check_row_count,
    count_by_status,
    count_waiting,
    find_proposal,
    list_proposals,
)
from basewarden.proposals.values import (
    Claim,
    ProposalDetail,
    ProposalResult,
    ProposalStatus,
    ProposedWrite,
    StoredRequest,
    find_proposal_status,
    read_request,
)

__all__ = [
    "ApprovalRequired",
    "Claim",
    "Claims",
    "Decider",
    "NothingProposed",
    "OtherApproverRequired",
    "Proposal",
    "ProposalDecided",
    "ProposalDetail",
    "ProposalExpired",
    "ProposalFailed",
    "ProposalResult",
    "ProposalStale",
    "ProposalStatus",
    "ProposalTooLarge",
    "ProposalUnsettled",
    "Proposals",
    "ProposedWrite",
    "StoredRequest",
    "TooManyProposals",
    "WritePins",
    "check_row_count",
    "count_by_status",
    "count_waiting",
    "find_creator_rule",
    "find_difference",
    "find_proposal",
    "find_proposal_status",
    "list_changed_proposals",
    "list_made_columns",
    "list_proposals",
    "list_proposals_by_id",
    "list_proposing_agents",
    "read_request",
]
