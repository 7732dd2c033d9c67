"""One scan of a project: every rule, then a probe of what the findings say can be read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.sentry.asking import ask
from basewarden.sentry.fingerprints import make_fingerprint
from basewarden.sentry.probing import ProbeCaller, ProbeOutcome, Proof, RowProbe, probe_rows
from basewarden.sentry.rule import Rule, ScannedObject
from basewarden.sentry.scanning import Acquire, RuleFinding, RuleOutcome, RuleState, run_rule
from pgrest import Statement

MOST_PROBED = 500
"""Objects of one scan: for further ones the catalog alone counts, and their findings show that."""
_ROLES = Statement("SELECT rolname::text FROM pg_roles WHERE rolname IN ('anon', 'authenticated')")
_SECONDS = 2.0
_NOT_PROBED = Proof((RowProbe(ProbeCaller.ANON, ProbeOutcome.NOT_RUN, reason="Too many objects were found."),))
NoteOutcome = Callable[[RuleOutcome], Awaitable[None]]


@dataclass
class ScanResult:
    """`proofs` by object; only what a rule reads rows of has one."""

    outcomes: list[RuleOutcome] = field(default_factory=list)
    proofs: dict[ScannedObject, Proof] = field(default_factory=dict)

    @property
    def findings(self) -> Mapping[str, RuleFinding]:
        """By fingerprint."""
        return {
            make_fingerprint(found.rule.id, found.hit.object): found
            for outcome in self.outcomes
            for found in outcome.found
        }

    @property
    def everywhere(self) -> frozenset[str]:
        """The rules that do not keep to the schemas of the scan."""
        return frozenset(one.rule.id for one in self.outcomes if one.rule.is_everywhere)

    @property
    def ran(self) -> frozenset[str]:
        """The rules whose silence about an object means something."""
        return frozenset(one.rule.id for one in self.outcomes if one.state is RuleState.RAN and one.reason is None)


async def scan_database(
    acquire: Acquire, rules: Sequence[Rule], schemas: Sequence[str], note: NoteOutcome
) -> ScanResult:
    """Calls `note` with each rule's outcome as it comes. Raises DatabaseError where nothing can be asked at all."""
    async with acquire() as connection:
        (rows,) = await ask(connection, _SECONDS, [_ROLES])
    roles = frozenset((row[0] or b"").decode() for row in rows.rows)
    result = ScanResult()
    for rule in rules:
        outcome = await run_rule(acquire, rule, schemas)
        result.outcomes.append(outcome)
        await note(outcome)
    for found in [one for outcome in result.outcomes for one in outcome.found if one.rule.reads_rows]:
        await _probe(acquire, found.hit.object, roles, result)
    return result


async def prove_again(acquire: Acquire, objects: Sequence[ScannedObject], result: ScanResult) -> None:
    """Probes what no rule finds any more: a finding closes only when the probe agrees."""
    if objects:
        async with acquire() as connection:
            (rows,) = await ask(connection, _SECONDS, [_ROLES])
        roles = frozenset((row[0] or b"").decode() for row in rows.rows)
        for found in objects:
            await _probe(acquire, found, roles, result)


async def _probe(acquire: Acquire, found: ScannedObject, roles: frozenset[str], result: ScanResult) -> None:
    whole = found._replace(column=None)
    if whole not in result.proofs:
        is_over = len(result.proofs) >= MOST_PROBED
        result.proofs[whole] = _NOT_PROBED if is_over else await probe_rows(acquire, whole, roles)
