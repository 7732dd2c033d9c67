"""What proposals are refused with."""

from uuid import UUID

from basewarden.errors import AppError, Conflict, Forbidden, TooMany


class ApprovalRequired(Forbidden):
    """An error, so that no client takes the proposal for a write that was done."""

    code = "approval_required"
    message = "This write waits for a person's approval. Nothing was changed."


class TooManyProposals(TooMany):
    code = "too_many_proposals"
    message = "Too many writes of this token wait for approval. Nothing was changed."


class ProposalTooLarge(AppError):
    status = 413
    code = "proposal_too_large"
    message = "A person could not review so many rows at once. Nothing was changed; propose fewer rows."


class NothingProposed(Conflict):
    code = "nothing_proposed"
    message = "This write matches no row, so there is nothing to approve. Nothing was changed."


class ProposalStale(Conflict):
    code = "proposal_stale"
    message = "Rows have changed since this was proposed. Nothing was changed; the agent can propose it again."


class ProposalDecided(Conflict):
    code = "proposal_decided"
    message = "This proposal is decided already."


class ProposalFailed(Conflict):
    code = "proposal_failed"
    message = "The write was refused when it was run. Nothing was changed."


class ProposalUnsettled(AppError):
    """The connection was lost where the write was to be committed."""

    status = 502
    code = "proposal_unsettled"
    message = "The project stopped responding. The proposal shows in a moment whether the write was applied."


class ProposalExpired(AppError):
    status = 410
    code = "proposal_expired"
    message = "This proposal has expired. The agent can propose it again."


class OtherApproverRequired(Forbidden):
    code = "other_approver_required"
    message = "You created this agent. On this connection, another person must approve its writes."


def make_decided_error(proposal_id: UUID, status: str) -> AppError:
    """What a decision about a proposal is answered that has this status already."""
    details = {"proposalId": str(proposal_id), "status": status}
    if status == "expired":
        return ProposalExpired(details=details)
    if status == "stale":
        return ProposalStale(details=details)
    if status == "failed":
        return ProposalDecided("This proposal was approved, and its write failed.", details=details)
    return ProposalDecided(f"This proposal is {_WORDS.get(status, status)} already.", details=details)


_WORDS = {"executed": "approved", "executing": "being approved", "pending": "being approved"}
