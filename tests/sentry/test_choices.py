"""Each change that a person can choose closes what it says it closes."""

import pytest

from basewarden.sentry.policies.choices import list_choices
from basewarden.sentry.rule import ObjectType, Rule, ScannedObject, Severity
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import RuleFinding, run_rule
from tests.sentry.conftest import ScannedDatabase

NOTES = """
    CREATE TABLE notes (id int PRIMARY KEY, user_id uuid REFERENCES auth.users (id), email text, body text);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes FOR SELECT USING (user_id = (SELECT auth.uid()));
"""
EVERYONE = "anon, authenticated"
CASES = {
    "policy_always_true_read": f"GRANT SELECT ON notes TO {EVERYONE}; DROP POLICY own ON notes; "
    'CREATE POLICY "a ""policy""" ON notes FOR SELECT USING (true)',
    "policies_joined_by_or": f"GRANT SELECT ON notes TO {EVERYONE}; CREATE POLICY late ON notes FOR SELECT USING (true)",
    "policy_always_true_write": f"GRANT ALL ON notes TO {EVERYONE}; DROP POLICY own ON notes; "
    "CREATE POLICY late ON notes FOR ALL USING (true) WITH CHECK (true)",
    "policy_signed_in_is_not_owner": f"GRANT ALL ON notes TO {EVERYONE}; DROP POLICY own ON notes; "
    "CREATE POLICY late ON notes FOR UPDATE USING ((SELECT auth.role()) = 'authenticated')",
    "policy_reads_all_tenants": "GRANT SELECT ON notes TO authenticated; DROP POLICY own ON notes; "
    "CREATE POLICY late ON notes FOR SELECT TO authenticated USING (true)",
}


def find_rule(rule_id: str) -> Rule:
    return next(rule for rule in list_rules() if rule.id == rule_id)


async def find_one(scanned: ScannedDatabase, rule_id: str) -> RuleFinding | None:
    outcome = await run_rule(scanned.acquire, find_rule(rule_id), ["public"])
    return outcome.found[0] if outcome.found else None


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("rule_id", CASES)
async def test_a_choice_closes_what_it_says(scanned: ScannedDatabase, rule_id: str, at: int) -> None:
    await scanned.run(NOTES + CASES[rule_id])
    found = await find_one(scanned, rule_id)
    assert found is not None
    choices = list_choices(found.hit.object, rule_id, found.hit.facts)
    assert choices[0].intent == "Each person has only their own rows"
    assert choices[-1].intent == "No access through this policy"
    for choice in choices:
        async with scanned.admin.transaction(force_rollback=True):
            await scanned.run(choice.sql)
    await scanned.run(choices[at].sql)
    assert await find_one(scanned, rule_id) is None


async def test_hidden_columns_leave_nothing_critical(scanned: ScannedDatabase) -> None:
    await scanned.run(NOTES + CASES["policy_always_true_read"])
    found = await find_one(scanned, "policy_always_true_read")
    assert found is not None
    assert found.verdict.severity is Severity.CRITICAL
    choices = list_choices(found.hit.object, "policy_always_true_read", found.hit.facts)
    await scanned.run(next(one.sql for one in choices if one.intent.startswith("Everyone reads the rows")))
    again = await find_one(scanned, "policy_always_true_read")
    assert again is None or again.verdict.severity is not Severity.CRITICAL


def test_facts_of_another_rule_have_no_choices() -> None:
    found = ScannedObject(ObjectType.TABLE, "public", "notes")
    assert list_choices(found, "policy_always_true_read", {"select": True}) == ()
