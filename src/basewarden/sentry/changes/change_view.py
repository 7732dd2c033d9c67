"""Fixes and quarantines as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from basewarden.sentry.changes.service import FixPreview, QuarantinePreview
from basewarden.sentry.finding_view import FindingLine, show_line
from basewarden.sentry.models import ChangeStatus, SentryChange, SentryFinding
from basewarden.sentry.proof_words import ShownProbe, name_caller, show_probe
from basewarden.sentry.scans.probing import ProbeCaller
from basewarden.sentry.scans.storing import show_probe as encode_probe
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_USES: Final = {
    "view": "The view {} is made of it, and shows what its own grants say.",
    "function": "The function {} uses or names it. One with its owner's rights still reaches it.",
    "parent": "It is a part of {}, whose own grants still show its rows.",
    "child": "{} is a part of it with grants of its own, which stay.",
}
_MOST_USES: Final = 10


@dataclass(frozen=True, slots=True)
class ShownFixTrial:
    """`pairs` are probes before and after, by who tried. `breaks` has nothing of strangers: to close it is meant."""

    sql: str
    closes: bool
    is_applicable: bool
    reason: str
    pairs: Sequence[tuple[ShownProbe, ShownProbe]]
    breaks: Sequence[str]
    unknown: Sequence[str]
    inverse: str


@dataclass(frozen=True, slots=True)
class ShownQuarantineTrial:
    """`effects` are sentences: who is cut off, and what still shows the object."""

    target: str
    sql: str
    inverse: str
    effects: Sequence[str]


@dataclass(frozen=True, slots=True)
class QuarantineLine:
    """`by` is who closed it; `is_moving`: it is being closed or released now."""

    target: str
    finding: FindingLine | None
    finding_id: UUID
    by: str
    is_you: bool
    since: datetime
    reason: str
    is_moving: bool


def show_fix(preview: FixPreview) -> ShownFixTrial:
    trial = preview.trial
    before, after = (
        [show_probe(encode_probe(one)) for one in probes] for probes in (trial.probes_before, trial.probes_after)
    )
    return ShownFixTrial(
        sql=trial.sql,
        closes=trial.closes,
        is_applicable=trial.is_applicable,
        reason=trial.reason or "",
        pairs=list(zip(before, after, strict=False)),
        breaks=[one for one in preview.breaks if not one.startswith(name_caller(ProbeCaller.ANON))],
        unknown=preview.unknown,
        inverse=trial.inverse or "",
    )


def show_quarantine(preview: QuarantinePreview) -> ShownQuarantineTrial:
    return ShownQuarantineTrial(
        target=preview.trial.target,
        sql=preview.trial.sql,
        inverse=preview.trial.inverse,
        effects=[*_list_cut_off(preview), *_list_uses(preview)],
    )


def show_quarantines(
    changes: Sequence[SentryChange], findings: Mapping[UUID, SentryFinding], viewer_id: UUID
) -> list[QuarantineLine]:
    return [
        QuarantineLine(
            target=one.target,
            finding=show_line(findings[one.finding_id]) if one.finding_id in findings else None,
            finding_id=one.finding_id,
            by=one.actor_name or "",
            is_you=one.actor_id == viewer_id,
            since=one.applied_at or one.started_at,
            reason=one.reason or "",
            is_moving=one.status != ChangeStatus.APPLIED,
        )
        for one in changes
    ]


def _list_cut_off(preview: QuarantinePreview) -> list[str]:
    roles = preview.trial.cut_off
    named = [role for role in roles if role is not None]
    sentences = [f"{list_names(named)} {'loses' if len(named) == 1 else 'lose'} every right to it."] if named else []
    if None in roles:
        sentences.append("PUBLIC loses its rights: every role that has none of its own is cut off too.")
    if not sentences:
        sentences = ["Its files are no longer public, and strangers can neither list nor change them."]
    if preview.agents:
        agents = list_names(preview.agents)
        sentences.append(f"{count_things(len(preview.agents), 'agent')} can no longer use it: {agents}.")
    return sentences


def _list_uses(preview: QuarantinePreview) -> list[str]:
    dependents = preview.trial.dependents
    sentences = [_USES[one.kind].format(one.name) for one in dependents[:_MOST_USES]]
    more = len(dependents) - len(sentences)
    return [*sentences, f"{more} more use it."] if more > 0 else sentences
