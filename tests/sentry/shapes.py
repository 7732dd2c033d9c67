"""A rule tried on one shape of a schema."""

from collections.abc import Sequence
from typing import NamedTuple

from basewarden.sentry.rule import Severity
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import RuleState, run_rule
from tests.sentry.conftest import ScannedDatabase


class FunctionShape(NamedTuple):
    """`undo` is run in any case: roles belong to the whole server."""

    name: str
    rule: str
    script: str
    undo: str = ""
    schemas: Sequence[str] = ("public",)


async def list_severities(scanned: ScannedDatabase, shape: FunctionShape) -> list[Severity]:
    """Of what the rule finds."""
    rule = next(rule for rule in list_rules() if rule.id == shape.rule)
    try:
        await scanned.run(shape.script)
        outcome = await run_rule(scanned.acquire, rule, shape.schemas)
    finally:
        if shape.undo:
            await scanned.run(shape.undo)
    assert outcome.state is RuleState.RAN, outcome.reason
    return [found.verdict.severity for found in outcome.found]
