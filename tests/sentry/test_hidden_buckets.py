"""Where row level security hides buckets from the login, a rule about them fails aloud: silence would be an all-clear."""

import pytest

from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import RuleState, run_rule
from tests.sentry.conftest import ScannedDatabase, open_pool


@pytest.mark.parametrize("rule_id", ["bucket_public_listing", "bucket_open_writes"])
async def test_hidden_buckets_are_no_all_clear(scanned: ScannedDatabase, rule_id: str) -> None:
    rule = next(rule for rule in list_rules() if rule.id == rule_id)
    info = scanned.admin.info
    await scanned.run(
        "CREATE ROLE looker_17 LOGIN PASSWORD 'looker'; GRANT USAGE ON SCHEMA storage TO looker_17;"
        "GRANT SELECT ON storage.buckets TO looker_17; INSERT INTO storage.buckets (id, public) VALUES ('a', true)"
    )
    try:
        async with open_pool(f"postgresql://looker_17:looker@{info.host}:{info.port}/{info.dbname}") as acquire:
            outcome = await run_rule(acquire, rule, ["public"])
    finally:
        await scanned.run("DROP OWNED BY looker_17; DROP ROLE looker_17")
    assert outcome.state is RuleState.FAILED
    assert "row level security hides buckets" in (outcome.reason or "")
