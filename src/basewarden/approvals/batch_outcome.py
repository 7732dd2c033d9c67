"""What became of several proposals that were decided together, in the address that the list is shown at afterwards."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from basewarden.approvals.service import Decision
from basewarden.web import count_things

Outcome = Literal["approved", "declined", "stale", "failed", "decided", "another"]
_BY_CODE: Final[Mapping[str, Outcome]] = {
    "proposal_stale": "stale",
    "proposal_decided": "decided",
    "proposal_expired": "decided",
    "other_approver_required": "another",
}
_DONE: Final = (
    ("approved", "proposal was approved", "proposals were approved"),
    ("declined", "proposal was declined", "proposals were declined"),
)
_LEFT: Final = (
    ("stale", "is stale", "are stale", "rows have changed since, so nothing was changed"),
    ("failed", "was not carried out", "were not carried out", "the page of each says why"),
    ("decided", "was decided before, or has expired", "were decided before, or have expired", "nothing was done again"),
    ("another", "needs another person's approval", "need another person's approval", "you created the agent"),
)
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    tone: Literal["ok", "warn"]
    title: str
    lines: tuple[str, ...]


def find_outcome(decision: Decision) -> Outcome:
    if decision.error is not None:
        return _BY_CODE.get(decision.error.code, "failed")
    return "approved" if decision.status == "executed" else "declined"


def encode_outcome(outcomes: Iterable[Outcome]) -> str:
    return urlencode(sorted(Counter(outcomes).items()))


def read_outcome(parameters: Mapping[str, str]) -> BatchOutcome | None:
    """None where the address has no outcome, or one that is no number."""
    counts: dict[str, int] = {
        name: _read_count(parameters.get(name, "")) for name in (*_BY_CODE.values(), "approved", "declined", "failed")
    }
    done = [count_things(counts[name], one, several) for name, one, several in _DONE if counts[name]]
    lines = tuple(
        f"{count_things(counts[name], one, several)}: {why}." for name, one, several, why in _LEFT if counts[name]
    )
    if not done and not lines:
        return None
    return BatchOutcome("warn" if lines else "ok", f"{' and '.join(done) or 'Nothing was decided'}.", lines)


def _read_count(text: str) -> int:
    return min(int(text), _MOST) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) else 0
