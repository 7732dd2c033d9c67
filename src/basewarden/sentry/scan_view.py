"""Scans as pages show them: each rule with what became of it, and what a scan could not find out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from basewarden.sentry.models import ScanCause, ScanStatus, SentryScan
from basewarden.sentry.rule import Severity
from basewarden.sentry.rule_pages import list_titles
from basewarden.sentry.scans.running import RuleState
from basewarden.sentry.scans.schema_choice import SchemaSource
from basewarden.web import count_things

_SOURCES: Final = {
    SchemaSource.REQUEST: "as it was asked for",
    SchemaSource.CONNECTION: "which the connection's settings name",
    SchemaSource.PROJECT: "which the project's API settings expose",
    SchemaSource.API: "which the project's API exposes",
    SchemaSource.DEFAULT: "because no setting of the project says which ones its API exposes",
}
_CAUSES: Final = {
    ScanCause.REQUEST: "it was asked for",
    ScanCause.SCHEDULE: "by schedule",
    ScanCause.SCHEMA_CHANGE: "the schema had changed",
}
_WAITING: Final = "waiting"
_IN_PART: Final = "ran in part"
_STATES: Final = {
    RuleState.RAN: "ran",
    RuleState.FAILED: "failed",
    RuleState.NOT_RUN: "could not run",
    RuleState.NOT_APPLICABLE: "does not apply",
}
_SEVERITIES: Final = tuple(severity.value for severity in Severity)
_ORDER: Final = ("failed", "could not run", _IN_PART, "ran", _WAITING, "does not apply")


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What became of one rule in a scan; `time` is "" where it did not run.

    `severities` are those of its findings with their numbers, the worst first; empty until the scan has ended.
    """

    id: str
    title: str
    state: str
    reason: str
    findings: int
    time: str
    severities: Sequence[tuple[str, int]] = ()

    @property
    def is_blind(self) -> bool:
        """Whether there may be something that it did not see."""
        return self.state in ("failed", "could not run", _IN_PART)


@dataclass(frozen=True, slots=True)
class ShownScan:
    """`duration` is "" while it runs."""

    id: UUID
    status: str
    why: str
    started_at: datetime
    duration: str
    schemas: Sequence[str]
    schemas_from: str
    rules: Sequence[RuleLine]
    opened: int
    closed: int
    failure: str

    @property
    def is_running(self) -> bool:
        return self.status == ScanStatus.RUNNING

    @property
    def is_failed(self) -> bool:
        return self.status == ScanStatus.FAILED

    @property
    def blind(self) -> Sequence[RuleLine]:
        return [one for one in self.rules if one.is_blind]

    @property
    def found(self) -> Sequence[RuleLine]:
        """Rules with findings, the worst first."""
        found = [one for one in self.rules if one.findings]
        return sorted(found, key=lambda one: (_rank(one), -one.findings, one.title))

    @property
    def clean(self) -> Sequence[RuleLine]:
        return [one for one in self.rules if one.state == _STATES[RuleState.RAN] and not one.findings]

    @property
    def unneeded(self) -> Sequence[RuleLine]:
        return [one for one in self.rules if one.state == _STATES[RuleState.NOT_APPLICABLE]]

    @property
    def waiting(self) -> Sequence[RuleLine]:
        return [one for one in self.rules if one.state == _WAITING]

    @property
    def blind_words(self) -> str:
        """Returns "2 rules could not run, 1 ran in part", or ""."""
        in_part = sum(one.state == _IN_PART for one in self.rules)
        silent = len(self.blind) - in_part
        if not silent:
            return f"{count_things(in_part, 'rule')} ran in part" if in_part else ""
        return f"{count_things(silent, 'rule')} could not run{f', {in_part} ran in part' if in_part else ''}"

    @property
    def ended(self) -> int:
        return sum(one.state != _WAITING for one in self.rules)

    @property
    def ran(self) -> int:
        return sum(one.state in ("ran", _IN_PART) for one in self.rules)

    @property
    def not_applicable(self) -> int:
        return len(self.unneeded)

    @property
    def findings(self) -> int:
        return sum(one.findings for one in self.rules)

    @property
    def current(self) -> str:
        """The title of the rule that a running scan is at; "" once the rules are through and objects are tried."""
        return next((one.title for one in self.rules if one.state == _WAITING), "")


def show_scan(scan: SentryScan) -> ShownScan:
    rules = [_show_rule(one) for one in scan.rules]
    is_running = scan.status == ScanStatus.RUNNING
    if is_running:
        known = {one.id for one in rules}
        rules += [_make_waiting(one, title) for one, title in list_titles().items() if one not in known]
    else:
        rules.sort(key=lambda one: (_ORDER.index(one.state), one.title))
    ended_at = scan.finished_at or datetime.now(UTC)
    return ShownScan(
        id=scan.id,
        status=scan.status,
        why=_CAUSES[ScanCause(scan.cause)],
        started_at=scan.started_at,
        duration="" if is_running else show_seconds((ended_at - scan.started_at).total_seconds()),
        schemas=scan.schemas,
        schemas_from=_SOURCES[SchemaSource(scan.schemas_from)] if scan.schemas_from else "",
        rules=rules,
        opened=scan.opened,
        closed=scan.closed,
        failure=scan.failure or "",
    )


def show_seconds(seconds: float) -> str:
    """`12 ms`, `1.4 s`, `2 min 5 s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _rank(line: RuleLine) -> int:
    return min((_SEVERITIES.index(severity) for severity, _ in line.severities), default=len(_SEVERITIES))


def _show_rule(outcome: Mapping[str, Any]) -> RuleLine:
    state, reason = RuleState(outcome["state"]), outcome["reason"] or ""
    has_run = state in (RuleState.RAN, RuleState.FAILED)
    return RuleLine(
        id=outcome["rule"],
        title=list_titles().get(outcome["rule"], outcome["rule"]),
        state=_IN_PART if state is RuleState.RAN and reason else _STATES[state],
        reason=reason,
        findings=outcome["findings"],
        time=show_seconds(outcome["durationMs"] / 1000) if has_run else "",
        severities=[(one, number) for one in _SEVERITIES if (number := outcome.get("severities", {}).get(one))],
    )


def _make_waiting(rule_id: str, title: str) -> RuleLine:
    return RuleLine(rule_id, title, _WAITING, "", 0, "")
