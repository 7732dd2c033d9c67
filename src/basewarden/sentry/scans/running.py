"""Runs the rules on a database, each by itself: one that cannot find out keeps no other from it, and has a reason."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from basewarden.sentry.rule import Hit, ObjectType, Rule, RuleVerdict, ScannedObject
from basewarden.sentry.scans.asking import Asked, ask
from pgrest import DatabaseError, PgrestError, Rows, Statement

RULE_SECONDS = 5.0
MOST_HITS = 2_000
"""Of one rule. A database with more has a hole in its default privileges, which the first ones show."""
MOST_ROWS = 20_000
"""That a rule looks at, of which most are harmless."""
_AT_ONCE = 20
"""Rows looked at in one go of a thread: most take a millisecond, but a hostile policy takes half a second."""
ASSESS_SECONDS = 60.0
"""Of rules that were asked together, less than the silence after which a scan is given up."""
_DECODED_AT_ONCE = 200
_TIMED_OUT: Final = frozenset({"57014", "55P03"})
_NOT_ALLOWED: Final = "42501"
_KNOWN = Statement(
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname || '.' || c.relname = name) FROM unnest($1::text[]) AS needed(name)"
)
"""By the catalog: to_regclass fails for a login that may not use the schema."""
Acquire = Callable[[], AbstractAsyncContextManager[Asked]]


class RuleState(StrEnum):
    RAN = "ran"
    FAILED = "failed"
    NOT_RUN = "not_run"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """One finding of a rule, before anything was tried."""

    rule: Rule
    hit: Hit
    verdict: RuleVerdict


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """`reason` says in words why a rule did not run, or not to its end."""

    rule: Rule
    state: RuleState
    reason: str | None = None
    found: Sequence[RuleFinding] = ()
    seconds: float = 0.0


class _Row(msgspec.Struct, frozen=True):
    type: ObjectType
    schema: str | None
    name: str
    column_name: str | None
    arguments: str | None
    roles: list[str] | None
    facts: dict[str, Any]


_decode = msgspec.json.Decoder(_Row).decode


async def run_rule(acquire: Acquire, rule: Rule, schemas: Sequence[str]) -> RuleOutcome:
    (outcome,) = await run_rules(acquire, [rule], schemas)
    return outcome


async def run_rules(acquire: Acquire, rules: Sequence[Rule], schemas: Sequence[str]) -> list[RuleOutcome]:
    """Of rules with one and the same query and needs, which the database is asked once. The first bears the time."""
    started, first = time.monotonic(), rules[0]
    try:
        async with acquire() as connection:
            missing = await _find_missing(connection, first.needs)
            if missing:
                reason = f"There is no {missing}."
                return [RuleOutcome(rule, RuleState.NOT_APPLICABLE, reason) for rule in rules]
            hits = await _ask_rule(connection, first, schemas)
    except DatabaseError as error:
        return [_explain(rule, error, time.monotonic() - started) for rule in rules]
    except PgrestError as error:
        return [RuleOutcome(rule, RuleState.NOT_RUN, error.message) for rule in rules]
    except msgspec.DecodeError:  # what a PostgreSQL never answers
        reason = "The database answered something else than was asked."
        return [RuleOutcome(rule, RuleState.FAILED, reason) for rule in rules]
    outcomes, until = [], time.monotonic() + ASSESS_SECONDS
    for rule in rules:
        outcomes.append(await _assess_hits(rule, hits, started, until))
        started = time.monotonic()
    return outcomes


async def _assess_hits(rule: Rule, hits: Sequence[Hit], started: float, until: float) -> RuleOutcome:
    found: list[RuleFinding] = []
    reason = None
    for start in range(0, min(len(hits), MOST_ROWS), _AT_ONCE):
        if time.monotonic() > until:
            reason = f"There was time to look at the first {start:,} of {len(hits):,} only."
            break
        found += await asyncio.to_thread(_assess_some, rule, hits[start : start + _AT_ONCE])
    if len(hits) > MOST_ROWS or len(found) > MOST_HITS:
        reason = f"Only the first {MOST_ROWS:,} were looked at, and the first {MOST_HITS:,} findings kept."
    return RuleOutcome(rule, RuleState.RAN, reason, found[:MOST_HITS], time.monotonic() - started)


def _assess_some(rule: Rule, hits: Sequence[Hit]) -> list[RuleFinding]:
    verdicts = [(hit, rule.assess(hit)) for hit in hits]
    return [RuleFinding(rule, hit, verdict) for hit, verdict in verdicts if verdict is not None]


async def _find_missing(connection: Asked, needs: Sequence[str]) -> str | None:
    if not needs:
        return None
    (rows,) = await ask(connection, RULE_SECONDS, [Statement(_KNOWN.sql, (encode_names(needs),))])
    return next((name for name, row in zip(needs, rows.rows, strict=True) if row[0] != b"t"), None)


async def _ask_rule(connection: Asked, rule: Rule, schemas: Sequence[str]) -> list[Hit]:
    # A rule about roles names no schema, and yet the parameter must have a place.
    query = f"SELECT to_json(hit) FROM ({rule.query}) AS hit WHERE $1::text[] IS NOT NULL LIMIT {MOST_ROWS + 1}"
    (rows,) = await ask(connection, RULE_SECONDS, [Statement(query, (encode_names(schemas),))])
    return await _read_hits(rows)


async def _read_hits(rows: Rows) -> list[Hit]:
    """Some at a time: a database of thousands of tables answers megabytes."""
    found: list[Hit] = []
    for row in rows.rows:
        found.append(_read(_decode(row[0] or b"")))
        if len(found) % _DECODED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def _read(row: _Row) -> Hit:
    found = ScannedObject(row.type, row.schema or "", row.name, row.column_name, row.arguments)
    return Hit(found, tuple(row.roles or ()), row.facts)


def encode_names(names: Sequence[str]) -> bytes:
    """As the text of an array."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{{{}}}".format(",".join(f'"{name}"' for name in quoted)).encode()


def _explain(rule: Rule, error: DatabaseError, seconds: float) -> RuleOutcome:
    if error.sqlstate == _NOT_ALLOWED:
        return RuleOutcome(rule, RuleState.NOT_RUN, f"The login may not look: {error.message}.", (), seconds)
    if error.sqlstate in _TIMED_OUT:
        return RuleOutcome(rule, RuleState.FAILED, f"It took longer than {RULE_SECONDS:.0f} seconds.", (), seconds)
    return RuleOutcome(rule, RuleState.FAILED, f"The database refused: {error.message}.", (), seconds)
