"""Findings as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from basewarden.core.addresses import policies_path
from basewarden.sentry.catalog_words import list_facts
from basewarden.sentry.models import FindingEvent, FindingStatus, SentryFinding
from basewarden.sentry.policies.choices import FixChoice, list_choices
from basewarden.sentry.policies.sql import ShownPolicy, show_policies
from basewarden.sentry.proof_words import ShownTries, describe_emptiness, describe_proof, show_tries
from basewarden.sentry.rule import ObjectType
from basewarden.sentry.rule_pages import RulePage, list_titles, read_rule_page
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.probing import ProbeCaller, ProbeOutcome
from basewarden.sentry.scans.storing import read_object
from basewarden.sentry.service import FindingDetail

_ABOUT_WRITES: Final = ("policy_always_true_write",)
_EVENTS: Final = {
    "opened": "A scan found it.",
    "reopened": "A scan found it again.",
    "resolved": "A scan found it no more, so it is resolved.",
    "expired": "The time of its acknowledgement was over, so it is open again.",
    "acknowledged": "Acknowledged",
    "opened_again": "Opened again",
    "fix_applied": "The fix was applied",
    "fix_undone": "The fix was undone",
    "quarantined": "Quarantined",
    "released": "Released from quarantine",
    "quarantine_ended": "The quarantine was ended, with nothing given back",
    "quarantine_lost": "A scan saw that strangers reach it again, so the quarantine has ended.",
}


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding in a list. `kind` and `name` are its object; `until` ends an acknowledgement that ends."""

    id: UUID
    severity: str
    title: str
    rule: str
    rule_title: str
    kind: str
    name: str
    proof: str
    status: str
    since: datetime
    last_seen: datetime
    until: datetime | None

    @property
    def is_open(self) -> bool:
        return self.status == FindingStatus.OPEN


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """`by` is "" where a scan did it."""

    text: str
    by: str
    is_you: bool
    at: datetime
    reason: str
    scan_id: UUID | None
    sql: str


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """`facts` are what the catalog says, as name and lines. `emptiness` says that the object has no row.

    Where there is no `fix`, a person chooses one of `choices`, of which there may be none.
    """

    line: FindingLine
    explanation: str
    tries: ShownTries
    emptiness: str
    facts: Sequence[tuple[str, Sequence[str]]]
    policies: Sequence[ShownPolicy]
    request: str | None
    fix: str | None
    choices: Sequence[FixChoice]
    events: Sequence[ShownEvent]
    page: RulePage | None
    policies_href: str | None
    """Where a table's policies are explained and tried."""


def _describe_proof(finding: SentryFinding) -> str:
    """Of a rule about writes, only what was reached: that no row was read says nothing of it."""
    if finding.rule not in _list_tried():
        return ""
    others = [probe for probe in finding.evidence["probes"] if probe["as"] != ProbeCaller.USER_B]
    is_reached = any(probe["outcome"] == ProbeOutcome.ROWS for probe in others)
    return describe_proof(finding.evidence) if is_reached or finding.rule not in _ABOUT_WRITES else ""


@cache
def _list_tried() -> frozenset[str]:
    return frozenset(rule.id for rule in list_rules() if rule.attempts)


def show_line(finding: SentryFinding) -> FindingLine:
    return FindingLine(
        id=finding.id,
        severity=finding.severity,
        title=finding.title,
        rule=finding.rule,
        rule_title=list_titles().get(finding.rule, finding.rule),
        kind=finding.object["type"],
        name=name_object(finding.object),
        proof=_describe_proof(finding),
        status=finding.current_status,
        since=finding.first_seen_at,
        last_seen=finding.last_seen_at,
        until=finding.acknowledged_until,
    )


def show_finding(found: FindingDetail, viewer_id: UUID) -> ShownFinding:
    finding = found.finding
    scanned, catalog = read_object(finding), finding.evidence["catalog"]
    return ShownFinding(
        line=show_line(finding),
        explanation=finding.explanation,
        tries=show_tries(finding.evidence),
        emptiness=describe_emptiness(finding.evidence),
        facts=list_facts(catalog),
        policies=show_policies(scanned, finding.rule, catalog),
        request=finding.request,
        fix=finding.fix,
        choices=() if finding.fix else list_choices(scanned, finding.rule, catalog),
        events=[_show_event(one, viewer_id) for one in found.events],
        page=read_rule_page(finding.rule),
        policies_href=_find_policies(finding),
    )


def _find_policies(finding: SentryFinding) -> str | None:
    found = finding.object
    is_table = found["type"] == ObjectType.TABLE and found["schema"]
    return policies_path(finding.connection_id, found["schema"], found["name"]) if is_table else None


def name_object(found: Mapping[str, Any]) -> str:
    """Without `public`, as everywhere on pages; a function with its arguments, a column behind its table."""
    schema = found["schema"]
    name = f"{schema}.{found['name']}" if schema not in ("", "public") else found["name"]
    if found["arguments"] is not None:
        name = f"{name}({found['arguments']})"
    return f"{name}.{found['column']}" if found["column"] else name


def _show_event(event: FindingEvent, viewer_id: UUID) -> ShownEvent:
    return ShownEvent(
        text=_EVENTS[event.kind],
        by=event.actor_name or "",
        is_you=event.actor_id == viewer_id,
        at=event.at,
        reason=event.reason or "",
        scan_id=event.scan_id,
        sql=event.sql or "",
    )
