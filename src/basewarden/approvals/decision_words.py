"""What approving and declining does, in the words of the pages and dialogs that ask before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from basewarden.approvals.proposal_view import ProposalLine
from basewarden.web import count_things

DecisionAction = Literal["approve", "decline"]


@dataclass(frozen=True, slots=True)
class DecisionQuestion:
    """Asks before these proposals are decided; `path` is that of the list."""

    action: DecisionAction
    path: str
    lines: tuple[ProposalLine, ...]
    title: str
    effects: tuple[str, ...]
    way_back: str
    button: str


def make_question(action: DecisionAction, path: str, lines: Sequence[ProposalLine]) -> DecisionQuestion:
    return make_approve(path, lines) if action == "approve" else make_decline(path, lines)


def make_approve(path: str, lines: Sequence[ProposalLine]) -> DecisionQuestion:
    """Several proposals run one after the other, and each for itself."""
    counted = count_things(len(lines), "proposal")
    rows = count_things(sum(line.rows for line in lines), "row")
    return DecisionQuestion(
        "approve",
        path,
        tuple(lines),
        f"Approve {counted}?",
        (
            f"Each runs once, as its agent and within its limits: {rows} in all.",
            "One whose rows have changed since is not run. It becomes stale, and the others go on.",
        ),
        "Yes. Each approved write is a session that can be undone.",
        f"Approve {counted}",
    )


def make_decline(path: str, lines: Sequence[ProposalLine]) -> DecisionQuestion:
    several = len(lines) > 1
    counted = count_things(len(lines), "proposal")
    return DecisionQuestion(
        "decline",
        path,
        tuple(lines),
        f"Decline {counted}?" if several else "Decline this proposal?",
        (
            "Nothing is changed in the database.",
            f"The {'agents see' if several else 'agent sees'} that it was declined, with your reason, when asking.",
        ),
        f"No. The {'agents' if several else 'agent'} can propose it again.",
        f"Decline {counted}" if several else "Decline",
    )
