"""An index counts as unused only with statistics of some age, which no script makes: the age is put in here."""

from basewarden.sentry.rule import Rule
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import RuleState, _ask_rule, run_rule
from tests.sentry.conftest import ScannedDatabase

_READ = "SELECT count(*) FROM notes WHERE id < 0;"


def _get_rule() -> Rule:
    return next(rule for rule in list_rules() if rule.id == "unused_index")


async def _make_indexes(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE notes (id int PRIMARY KEY, body text, title text, kind int);"
        "INSERT INTO notes SELECT n, md5(n::text), md5(n::text), n FROM generate_series(1, 30000) AS n;"
        "CREATE INDEX unused ON notes (body); CREATE UNIQUE INDEX enforcing ON notes (title);"
        "CREATE TABLE tags (id int PRIMARY KEY, body text); CREATE INDEX small ON tags (body)"
    )
    await scanned.run("ANALYZE notes")
    await scanned.run(_READ * 100)
    await scanned.run("SELECT pg_stat_force_next_flush()")


async def test_an_index_without_use_is_found_once_statistics_are_old(scanned: ScannedDatabase) -> None:
    await _make_indexes(scanned)
    rule = _get_rule()
    async with scanned.acquire() as connection:
        (hit,) = await _ask_rule(connection, rule, ["public"])
    assert (hit.object.name, hit.object.column) == ("notes", "unused")
    verdict = rule.assess(hit._replace(facts={**hit.facts, "days": 8}))
    assert verdict is not None
    assert verdict.fix is not None
    await scanned.run(verdict.fix)
    async with scanned.acquire() as connection:
        assert await _ask_rule(connection, rule, ["public"]) == []


async def test_young_statistics_find_nothing(scanned: ScannedDatabase) -> None:
    await _make_indexes(scanned)
    outcome = await run_rule(scanned.acquire, _get_rule(), ["public"])
    assert outcome.state is RuleState.RAN
    assert not outcome.found
