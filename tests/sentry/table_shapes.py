"""The rules on tables, views and policies, tried together on one shape of a schema: one cause is one finding."""

from collections.abc import Mapping
from typing import NamedTuple

from basewarden.sentry.rule import Severity
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import RuleState, run_rule
from tests.sentry.conftest import ScannedDatabase

TABLE_RULES = frozenset(
    {
        "column_grant_on_secret",
        "definer_view",
        "foreign_table_open",
        "insert_owner_set_by_caller",
        "materialized_view_open",
        "partition_open",
        "policies_joined_by_or",
        "policy_always_true_read",
        "policy_always_true_write",
        "policy_reads_all_tenants",
        "policy_signed_in_is_not_owner",
        "policy_trusts_user_metadata",
        "rls_not_forced",
        "rls_off",
        "rls_on_without_policies",
        "rls_policies_but_off",
        "sensitive_columns_open",
        "truncate_references_trigger_granted",
        "update_check_lets_rows_change_hands",
        "view_of_auth_users",
        "write_without_select",
    }
)
"""Without those on speed."""


class TableCase(NamedTuple):
    """`undo` is run in any case: roles belong to the whole server."""

    name: str
    script: str
    found: Mapping[str, Severity] = {}
    undo: str = ""


async def find_on_tables(scanned: ScannedDatabase, shape: TableCase) -> dict[str, Severity]:
    """Severities by rule; each rule finds at most one."""
    found: dict[str, Severity] = {}
    try:
        await scanned.run(shape.script)
        for rule in (rule for rule in list_rules() if rule.id in TABLE_RULES):
            outcome = await run_rule(scanned.acquire, rule, ["public"])
            assert outcome.state in (RuleState.RAN, RuleState.NOT_APPLICABLE), outcome.reason
            assert len(outcome.found) <= 1, [(one.rule.id, one.hit.object) for one in outcome.found]
            found |= {one.rule.id: one.verdict.severity for one in outcome.found}
    finally:
        if shape.undo:
            await scanned.run(shape.undo)
    return found
