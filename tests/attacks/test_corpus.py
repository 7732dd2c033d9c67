"""The corpus itself: that it is large, that each script could fail, and that a fault in the product would show."""

import pytest

from tests.attacks.attack_bench import FindAttackBench, count_changed, fill
from tests.attacks.corpus import AttackScript, AttackStep, find_faults, load_profiles, load_scripts
from tests.attacks.drivers import RestDriver
from tests.attacks.report import format_table
from tests.attacks.script_run import ScriptRun


def test_there_are_scripts_enough_and_each_of_them_expects_something() -> None:
    scripts, profiles = load_scripts(), load_profiles()
    assert sum(script.is_hostile for script in scripts) >= 150
    assert sum(not script.is_hostile for script in scripts) >= 30
    assert find_faults(scripts, profiles) == []
    names = [(script.family, script.name) for script in scripts]
    assert len(set(names)) == len(names)


def test_a_script_that_cannot_fail_is_found() -> None:
    steps = [AttackStep(rest="GET /orders"), AttackStep(status=200), AttackStep(member="POST freeze")]
    script = AttackScript(name="x", agent="none", steps=steps)
    assert find_faults([script], load_profiles()) == [
        "x: there is no agent none",
        "x: a step expects nothing",
        "x: a step is one thing",
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (AttackScript("", "clerk", [AttackStep(rest="GET /orders", refused="403 table_denied")]), "step 1"),
        (AttackScript("", "clerk", [AttackStep(rest="GET /orders?limit=1", status=201)]), "step 1"),
        (AttackScript("", "reader", [AttackStep(rest="GET /orders?id=eq.1", same_as="GET /orders?id=eq.2")]), "is not"),
        (AttackScript("", "reader", [AttackStep(rest="GET /orders?limit=1", gives="[]")]), "step 1"),
        (AttackScript("", "writer", [AttackStep(rest="DELETE /counters?id=eq.1", status=204)]), "counters"),
        (
            AttackScript("", "writer", [AttackStep(database="DELETE FROM counters")], changed={"counters": 40}),
            "journal",
        ),
        (
            AttackScript("", "writer", [AttackStep(database="DELETE FROM counters")], at_most={"counters": 1}),
            "more than",
        ),
        (AttackScript("", "writer", [AttackStep(rest="GET /lines", times=2, accepted=1, refused="403 x")]), "2 of 2"),
    ],
)
async def test_what_does_not_hold_is_found(
    find_attack_bench: FindAttackBench, script: AttackScript, message: str
) -> None:
    bench = await find_attack_bench("direct")
    profile = load_profiles()[script.agent]
    agent = await bench.make_agent(script, profile)
    before = await bench.read_rows()
    driver = RestDriver(bench.client, f"/api/v/{bench.bench.connection_id}/rest/v1", agent.token)
    with pytest.raises(AssertionError, match=message):
        await ScriptRun(bench, script, profile, agent, driver).perform()
    assert await bench.read_rows() == before


async def test_a_hidden_word_is_found_unless_the_agent_sent_it(find_attack_bench: FindAttackBench) -> None:
    bench = await find_attack_bench("direct")
    profile = load_profiles()["masked"]
    agent = await bench.make_agent(AttackScript("", "reader", []), load_profiles()["reader"])
    driver = RestDriver(bench.client, f"/api/v/{bench.bench.connection_id}/rest/v1", agent.token)
    for target, is_found in (("GET /customers", True), ("GET /customers?email=eq.zqm&select=id", False)):
        run = ScriptRun(
            bench, AttackScript("", "reader", [AttackStep(rest=target, status=200)]), profile, agent, driver
        )
        if is_found:
            with pytest.raises(AssertionError, match="shows zqm"):
                await run.perform()
        else:
            await run.perform()


def test_changed_rows_are_counted_by_table() -> None:
    before = frozenset({("a", "1"), ("a", "2"), ("b", "1")})
    after = frozenset({("a", "1"), ("a", "3"), ("a", "4"), ("b", "1")})
    assert count_changed(before, after) == {"a": 2}
    assert fill({"path": ["{agent}/x"], "times": 2}, {"agent": "7"}) == {"path": ["7/x"], "times": 2}


def test_the_table_has_a_row_for_each_family_and_backend() -> None:
    rows = format_table([("masks | direct", True), ("masks | direct", False), ("tables | api", True)])
    assert rows[2:] == ["| masks | direct | 2 | 1 |", "| tables | api | 1 | 1 |", "| all | | 3 | 2 |"]
    assert format_table([]) == []
