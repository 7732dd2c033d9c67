"""One scan of a project: every rule, then a probe of what the findings say can be read."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from basewarden.sentry.rule import Rule, ScannedObject
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.fingerprints import make_fingerprint
from basewarden.sentry.scans.probing import ProbeCaller, ProbeOutcome, Proof, RowProbe, probe_rows
from basewarden.sentry.scans.running import Acquire, RuleFinding, RuleOutcome, RuleState, run_rules
from pgrest import Statement

MOST_PROBED = 500
"""Objects of one scan: for further ones the catalog alone counts, and their findings show that."""
PROBES_SECONDS = 60.0
"""Of all probes together, for the same reason."""
_ROLES = Statement("SELECT rolname::text FROM pg_roles WHERE rolname IN ('anon', 'authenticated')")
_SECONDS = 2.0
_NOTE_SECONDS = 5.0
_TOO_MANY = "There were too many objects to try each."
_NOT_PROBED = Proof((RowProbe(ProbeCaller.ANON, ProbeOutcome.NOT_RUN, reason=_TOO_MANY),))
NoteOutcomes = Callable[[Sequence[RuleOutcome]], Awaitable[None]]


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

    def may_close(self, found: ScannedObject) -> bool:
        """Not while a probe still reads its rows, or there was no time to try, unless another finding reports that."""
        whole = found._replace(column=None)
        proof = self.proofs.get(whole)
        return proof is None or whole in self._reported or not (proof.is_read or proof is _NOT_PROBED)

    @cached_property
    def _reported(self) -> frozenset[ScannedObject]:
        found = (one for outcome in self.outcomes for one in outcome.found if one.rule.reads_rows)
        return frozenset(one.hit.object._replace(column=None) for one in found)


class Scan:
    """`note` is called with what is known so far, whenever that is more, or time has passed."""

    def __init__(self, acquire: Acquire, note: NoteOutcomes) -> None:
        self.result = ScanResult()
        self._acquire = acquire
        self._note = note
        self._roles: frozenset[str] = frozenset()
        self._until = 0.0
        self._noted = time.monotonic()

    async def run(self, rules: Sequence[Rule], schemas: Sequence[str]) -> None:
        """Every rule, and a probe of what it found. Raises DatabaseError where nothing can be asked at all."""
        async with self._acquire() as connection:
            (rows,) = await ask(connection, _SECONDS, [_ROLES])
        self._roles = frozenset((row[0] or b"").decode() for row in rows.rows)
        for group in _group_by_query(rules):
            self.result.outcomes += await run_rules(self._acquire, group, schemas)
            await self._note(self.result.outcomes)
        self._until = time.monotonic() + PROBES_SECONDS
        found = [one.hit.object for outcome in self.result.outcomes for one in outcome.found if one.rule.reads_rows]
        await self.prove(found)

    async def prove(self, objects: Iterable[ScannedObject]) -> None:
        """Also of what no rule finds any more: a finding closes only when the probe agrees."""
        for found in objects:
            await self._probe(found._replace(column=None))
            if time.monotonic() - self._noted > _NOTE_SECONDS:
                self._noted = time.monotonic()
                await self._note(self.result.outcomes)

    async def _probe(self, found: ScannedObject) -> None:
        if found in self.result.proofs:
            return
        is_over = len(self.result.proofs) >= MOST_PROBED or time.monotonic() > self._until
        self.result.proofs[found] = _NOT_PROBED if is_over else await probe_rows(self._acquire, found, self._roles)


def _group_by_query(rules: Sequence[Rule]) -> Iterable[Sequence[Rule]]:
    """In their order; those with one query and the same needs together."""
    groups: dict[tuple[str, tuple[str, ...]], list[Rule]] = {}
    for rule in rules:
        groups.setdefault((rule.query, tuple(rule.needs)), []).append(rule)
    return groups.values()
