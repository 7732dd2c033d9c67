"""Each rule finds its hole once, and nothing when it is closed."""

from dataclasses import replace
from pathlib import Path
from threading import get_ident

import pytest

from basewarden.sentry import rules
from basewarden.sentry.rule import Hit, Rule, RuleVerdict
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans import running
from basewarden.sentry.scans.running import RuleState, run_rule
from tests.sentry.conftest import ScannedDatabase

_FOLDER = Path(rules.__file__).parent
_EXPOSED = {"system_schema_exposed": ["public", "vault"]}
_OWN_TESTS = frozenset({"login_is_superuser", "unused_index"})
"""What they find no SQL makes or changes: the login itself, and how old statistics are."""


_RULES = [rule for rule in list_rules() if rule.id not in _OWN_TESTS]


async def test_what_a_rule_finds_is_assessed_beside_the_event_loop_and_in_bounded_time(
    scanned: ScannedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile policy takes half a second to follow: thousands would keep everyone waiting."""
    rule = next(one for one in list_rules() if one.id == "rls_off")
    await scanned.run((_FOLDER / rule.id / "hole.sql").read_text())
    threads: set[int] = set()

    def assess(hit: Hit) -> RuleVerdict | None:
        threads.add(get_ident())
        return rule.assess(hit)

    outcome = await run_rule(scanned.acquire, replace(rule, assess=assess), ["public"])
    assert len(outcome.found) == 1
    assert threads
    assert get_ident() not in threads
    monkeypatch.setattr(running, "ASSESS_SECONDS", -1.0)
    outcome = await run_rule(scanned.acquire, rule, ["public"])
    assert outcome.state is RuleState.RAN
    assert (list(outcome.found), outcome.reason) == ([], "There was time to look at the first 0 of 1 only.")


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.id)
async def test_a_rule_finds_its_hole_and_nothing_when_it_is_closed(scanned: ScannedDatabase, rule: Rule) -> None:
    folder = _FOLDER / rule.id
    assert (folder / "page.md").read_text().startswith(f"# {rule.title}\n")
    await scanned.run((folder / "hole.sql").read_text())
    schemas = _EXPOSED.get(rule.id, ["public"])
    outcome = await run_rule(scanned.acquire, rule, schemas)
    assert outcome.state is RuleState.RAN, outcome.reason
    assert len(outcome.found) == 1, [one.hit for one in outcome.found]
    fix = outcome.found[0].verdict.fix
    await scanned.run((folder / "closed.sql").read_text() if fix is None else fix)
    outcome = await run_rule(scanned.acquire, rule, schemas)
    assert outcome.state is RuleState.RAN, outcome.reason
    assert not outcome.found, outcome.found[0].hit
