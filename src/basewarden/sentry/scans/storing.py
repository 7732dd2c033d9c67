"""Stores what a scan found: new findings, those that are still there, and those that are gone."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from basewarden.core.ids import make_id
from basewarden.db import WriteSession
from basewarden.sentry import queries
from basewarden.sentry.models import FindingStatus, SentryFinding
from basewarden.sentry.rule import ObjectType, ScannedObject, Severity
from basewarden.sentry.scans.probing import Proof, RowProbe
from basewarden.sentry.scans.running import RuleFinding
from basewarden.sentry.scans.scan import ScanResult
from basewarden.sentry.scans.severity import weigh
from basewarden.sentry.words import make_request

MOST_OF_A_FACT: Final = 50_000
"""Bytes of JSON: a table may have megabytes of policies, each rule repeats them, and lists read 200 findings."""


class ScanChanges(NamedTuple):
    """How many findings were opened and closed."""

    opened: int
    closed: int


async def store_findings(
    session: WriteSession,
    connection_id: UUID,
    scan_id: UUID,
    schemas: Sequence[str],
    result: ScanResult,
    changed: Collection[UUID] = (),
) -> ScanChanges:
    """In one transaction. What a rule did not look at stays as it is.

    So does a finding of `changed`: something was changed for it while the scan was looking.
    """
    locked = await queries.lock_findings(session, connection_id)
    known = {fingerprint: one for fingerprint, one in locked.items() if one.id not in changed}
    unsure = locked.keys() - known.keys()
    events = [_make_event(one, "expired", scan_id) for one in await queries.reopen_expired(session, connection_id)]
    added: list[dict[str, Any]] = []
    opened = 0
    for fingerprint, found in result.findings.items():
        if fingerprint in unsure:
            continue
        before = known.get(fingerprint)
        values = _make_values(found, _find_proof(found, result))
        if before is not None and before.status == FindingStatus.RESOLVED:
            values["status"] = FindingStatus.OPEN
            events.append(_make_event(before.id, "reopened", scan_id))
            opened += 1
        if before is None:
            added.append({"id": make_id(), "connection_id": connection_id, "fingerprint": fingerprint, **values})
        elif any(getattr(before, name) != value for name, value in values.items()):
            await queries.update_finding(session, before.id, values)
    await queries.insert_findings(session, added)
    await queries.note_seen(session, connection_id, result.findings)
    events += [_make_event(one["id"], "opened", scan_id) for one in added]
    gone = [one for one in list_gone(known.values(), schemas, result) if result.may_close(read_object(one))]
    await queries.resolve_findings(session, [one.id for one in gone])
    events += [_make_event(one.id, "resolved", scan_id) for one in gone]
    await queries.insert_events(session, events)
    await queries.announce_counts(session, connection_id)
    return ScanChanges(opened + len(added), len(gone))


def count_severities(result: ScanResult) -> dict[str, dict[str, int]]:
    """By rule, how many findings of each severity the scan has, the worst first."""
    counts: dict[str, dict[str, int]] = {}
    for outcome in result.outcomes:
        weighed = Counter(_weigh(found, _find_proof(found, result)) for found in outcome.found)
        counts[outcome.rule.id] = {one.value: weighed[one] for one in Severity if weighed[one]}
    return counts


def _find_proof(found: RuleFinding, result: ScanResult) -> Proof:
    """What was tried of what the rule speaks of."""
    proof = result.proofs.get(found.hit.object._replace(column=None), Proof())
    return proof.choose(found.rule.attempts)


def _weigh(found: RuleFinding, proof: Proof) -> Severity:
    return weigh(found.verdict.severity, proof, found.rule.attempts)


def list_gone(known: Iterable[SentryFinding], schemas: Sequence[str], result: ScanResult) -> list[SentryFinding]:
    """Those that this scan looked for and did not find."""
    found = result.findings.keys()
    return [
        one
        for one in known
        if one.status not in (FindingStatus.RESOLVED, FindingStatus.QUARANTINED)
        and one.fingerprint not in found
        and one.rule in result.ran
        and (one.rule in result.everywhere or not one.object["schema"] or one.object["schema"] in schemas)
    ]


def read_object(finding: SentryFinding) -> ScannedObject:
    """What a stored finding is about."""
    stored = finding.object
    return ScannedObject(
        ObjectType(stored["type"]), stored["schema"], stored["name"], stored["column"], stored["arguments"]
    )


def _make_values(found: RuleFinding, proof: Proof) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "rule": found.rule.id,
        "severity": _weigh(found, proof),
        "title": verdict.title,
        "explanation": verdict.explanation,
        "object": found.hit.object._asdict(),
        "evidence": {
            "catalog": {"roles": list(found.hit.roles), **_cut_facts(found.hit.facts)},
            "probes": [show_probe(one) for one in proof.probes],
            "isEmpty": proof.is_empty,
        },
        "request": make_request(found.hit.object) if found.rule.reads_rows else None,
        "fix": verdict.fix,
    }


def _cut_facts(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without those that are too long to keep with each finding, whose names are kept."""
    left_out = [name for name, value in facts.items() if len(msgspec.json.encode(value)) > MOST_OF_A_FACT]
    kept = {name: value for name, value in facts.items() if name not in left_out}
    return {**kept, "left_out": left_out} if left_out else kept


def show_probe(probe: RowProbe) -> Mapping[str, Any]:
    return {
        "as": probe.caller,
        "verb": probe.attempt.verb,
        "attempt": probe.attempt,
        "outcome": probe.outcome,
        "rows": probe.rows,
        "columns": list(probe.sensitive),
        "reason": probe.reason,
        "brought": probe.is_brought,
    }


def _make_event(finding_id: UUID, kind: str, scan_id: UUID) -> dict[str, Any]:
    return {"id": make_id(), "finding_id": finding_id, "kind": kind, "scan_id": scan_id}
