"""One scan of a project: every rule, then a probe of what the findings say can be read."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from basewarden.sentry.probes.tries import probe_writes
from basewarden.sentry.rule import ObjectType, Rule, ScannedObject, Severity
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.fingerprints import make_fingerprint
from basewarden.sentry.scans.probing import (
    ProbeCaller,
    ProbeOutcome,
    Proof,
    RowProbe,
    join_probes,
    probe_rows,
    refuse_all,
)
from basewarden.sentry.scans.running import Acquire, RuleFinding, RuleOutcome, RuleState, run_rules
from pgrest import DbConnection, PgrestError, Statement

MOST_PROBED = 500
"""Objects of one scan: for further ones the catalog alone counts, and their findings show that."""
PROBES_SECONDS = 60.0
"""Of all probes together, for the same reason."""
MOST_WRITTEN = 100
WRITES_SECONDS = 10.0
"""Of the probes that write, all together."""
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
        is_open = proof is not None and (proof.is_read or proof.is_written or proof is _NOT_PROBED)
        return whole in self._reported or not is_open

    @cached_property
    def _reported(self) -> frozenset[ScannedObject]:
        found = (one for outcome in self.outcomes for one in outcome.found if one.rule.attempts)
        return frozenset(one.hit.object._replace(column=None) for one in found)


class Scan:
    """`note` is called with what is known so far, whenever that is more, or time has passed."""

    def __init__(self, acquire: Acquire, note: NoteOutcomes) -> None:
        self.result = ScanResult()
        self._acquire = acquire
        self._note = note
        self._roles: frozenset[str] = frozenset()
        self._until = 0.0
        self._writes_until = 0.0
        self._written: set[ScannedObject] = set()
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
        found = [one for outcome in self.result.outcomes for one in outcome.found if one.rule.attempts]
        found.sort(key=lambda one: list(Severity).index(one.verdict.severity))
        await self.prove([(one.hit.object, bool(one.rule.writes)) for one in found])

    async def prove(self, objects: Sequence[tuple[ScannedObject, bool]]) -> None:
        """Also of what no rule finds any more: a finding closes only when the probe agrees. True tries writes, too."""
        wholes = [(found._replace(column=None), writes) for found, writes in objects]
        for found, _ in wholes:
            await self._probe(found)
            await self._note_at_times()
        self._writes_until = time.monotonic() + WRITES_SECONDS
        for found, writes in wholes:
            if found.type is ObjectType.TABLE and (writes or self.result.proofs[found].is_empty):
                await self._probe_writes(found)
                await self._note_at_times()

    async def _note_at_times(self) -> None:
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            self._noted = time.monotonic()
            await self._note(self.result.outcomes)

    async def _probe_writes(self, found: ScannedObject) -> None:
        read = self.result.proofs[found]
        if found in self._written or read is _NOT_PROBED:
            return
        self._written.add(found)
        if len(self._written) > MOST_WRITTEN or time.monotonic() > self._writes_until:
            probes = refuse_all(_TOO_MANY)
        else:
            probes = await self._try_writes(found)
        self.result.proofs[found] = join_probes(read, probes)

    async def _probe(self, found: ScannedObject) -> None:
        if found in self.result.proofs:
            return
        is_over = len(self.result.proofs) >= MOST_PROBED or time.monotonic() > self._until
        self.result.proofs[found] = _NOT_PROBED if is_over else await probe_rows(self._acquire, found, self._roles)

    async def _try_writes(self, found: ScannedObject) -> Sequence[RowProbe]:
        try:
            async with self._acquire() as connection:
                assert isinstance(connection, DbConnection), "a scan has no transaction open"
                return await probe_writes(connection, found)
        except PgrestError as error:
            return refuse_all(error.message)


def _group_by_query(rules: Sequence[Rule]) -> Iterable[Sequence[Rule]]:
    """In their order; those with one query and the same needs together."""
    groups: dict[tuple[str, tuple[str, ...]], list[Rule]] = {}
    for rule in rules:
        groups.setdefault((rule.query, tuple(rule.needs)), []).append(rule)
    return groups.values()
