"""Tries a fix in a transaction: what the rule and the probes say before and after, and what takes it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from basewarden.sentry.access.login import LoginRoles
from basewarden.sentry.access.reading import READ_SECONDS, decode_states, read_states
from basewarden.sentry.access.restoring import write_script
from basewarden.sentry.access.state import AccessKey, AccessState
from basewarden.sentry.changes.putting import NotRestored, put_back, read_access, read_roles
from basewarden.sentry.changes.quarantining import read_api_roles
from basewarden.sentry.changes.reversible import is_reversible
from basewarden.sentry.changes.transaction import ChangeTransaction, split_script
from basewarden.sentry.errors import FindingChanged
from basewarden.sentry.proof_words import name_caller
from basewarden.sentry.rule import Rule, ScannedObject
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.fingerprints import make_fingerprint
from basewarden.sentry.scans.probing import ProbeOutcome, RowProbe, probe_rows
from basewarden.sentry.scans.running import RuleOutcome, RuleState, run_rule
from pgrest import DatabaseError

_NO_INVERSE: Final = "What this SQL changes is not among what Basewarden can put back exactly, so it does not apply it."


@dataclass(frozen=True, slots=True)
class TriedFix:
    """What is known of a finding and its fix, to be tried."""

    rule: Rule
    fingerprint: str
    object: ScannedObject
    schemas: Sequence[str]
    sql: str


@dataclass(frozen=True, slots=True)
class FixTrial:
    """`reason` says why it does not close the finding, or why it is not applied. `before` and `after` are what changed.

    Without an `inverse` it cannot be taken back exactly. `stamps` are those of `before`.
    """

    sql: str
    closes: bool
    reason: str | None = None
    probes_before: Sequence[RowProbe] = ()
    probes_after: Sequence[RowProbe] = ()
    inverse: str | None = None
    before: Sequence[AccessState] = ()
    after: Sequence[AccessState] = ()
    stamps: Mapping[AccessKey, str] = field(default_factory=dict)

    @property
    def is_applicable(self) -> bool:
        return self.closes and self.inverse is not None

    def list_broken(self) -> list[str]:
        """Who read rows before and reads none after, in words."""
        after = {one.caller: one for one in self.probes_after}
        pairs = [(one, after[one.caller]) for one in self.probes_before if one.caller in after]
        return [
            f"{name_caller(was.caller)} read rows before, and {_describe(now)} after."
            for was, now in pairs
            if was.outcome is ProbeOutcome.ROWS and now.outcome is not ProbeOutcome.ROWS
        ]


async def try_fix(transaction: ChangeTransaction, fix: TriedFix) -> FixTrial:
    """Leaves the fix applied in the transaction. Raises DatabaseError, PgrestError and FindingChanged."""
    await _check_still_found(transaction, fix)
    before = await _read_all(transaction)
    roles = frozenset(await read_api_roles(transaction))
    login = await read_roles(transaction)
    probes = (await probe_rows(transaction.acquire, fix.object._replace(column=None), roles)).probes
    await transaction.change(split_script(fix.sql))
    after = await _read_all(transaction)
    after |= await read_access(transaction, [key for key in before if key not in after])
    reason = _find_reason(await run_rule(transaction.acquire, fix.rule, fix.schemas), fix)
    tried = (await probe_rows(transaction.acquire, fix.object._replace(column=None), roles)).probes
    changed = [key for key, (state, _) in before.items() if key not in after or after[key][0] != state]
    was = [before[key][0] for key in changed]
    inverse, problem = await _find_inverse(transaction, fix.sql, was, login)
    return FixTrial(
        sql=fix.sql,
        closes=reason is None,
        reason=reason or problem,
        probes_before=probes,
        probes_after=tried,
        inverse=inverse,
        before=was,
        after=[after[key][0] for key in changed if key in after],
        stamps={key: before[key][1] for key in changed},
    )


async def _check_still_found(transaction: ChangeTransaction, fix: TriedFix) -> None:
    outcome = await run_rule(transaction.acquire, fix.rule, fix.schemas)
    if outcome.state is not RuleState.RAN:
        raise FindingChanged(f"The rule could not run, so the fix cannot be tried. {outcome.reason}")
    found = next(
        (one for one in outcome.found if make_fingerprint(fix.rule.id, one.hit.object) == fix.fingerprint), None
    )
    if found is None:
        raise FindingChanged("The rule does not find this any more. Scan again.")
    if found.verdict.fix != fix.sql:
        raise FindingChanged


def _find_reason(outcome: RuleOutcome, fix: TriedFix) -> str | None:
    """Why it is not proved closed; None where it is."""
    if outcome.state is not RuleState.RAN:
        return f"After the fix the rule could not run: {outcome.reason}"
    if any(make_fingerprint(fix.rule.id, one.hit.object) == fix.fingerprint for one in outcome.found):
        return "After the fix the rule still finds it."
    return "There was too much to look at, so it is not known whether it is closed." if outcome.reason else None


async def _find_inverse(
    transaction: ChangeTransaction, sql: str, was: Sequence[AccessState], login: LoginRoles
) -> tuple[str | None, str | None]:
    """The SQL that takes it back, as it was tried; or why there is none."""
    if not is_reversible(sql) or not was:
        return None, _NO_INVERSE
    try:
        async with transaction.trying():
            steps = await put_back(transaction, was, login)
    except NotRestored as error:
        return None, f"Taking it back was tried and did not do it. {' '.join(error.differences)}"
    except DatabaseError as error:
        return None, f"Taking it back was tried, and the database refused: {error.message}."
    return write_script(steps), None


async def _read_all(transaction: ChangeTransaction) -> dict[AccessKey, tuple[AccessState, str]]:
    (rows,) = await ask(transaction, READ_SECONDS, [read_states(None)])
    return decode_states(rows)


def _describe(probe: RowProbe) -> str:
    return {
        ProbeOutcome.DENIED: "is refused",
        ProbeOutcome.NONE: "reads none",
        ProbeOutcome.ERROR: "gets an error",
    }.get(probe.outcome, "could not be tried")
