"""Hostile scripts get nothing that their agent may not have, and honest ones work."""

from collections.abc import Iterable

import pytest

from tests.attacks.attack_bench import FindAttackBench
from tests.attacks.corpus import AttackScript, load_profiles, load_scripts
from tests.attacks.drivers import RestDriver
from tests.attacks.report import PROPERTY
from tests.attacks.script_run import ScriptRun
from tests.fixtures.bench import Backend

_PROFILES = load_profiles()
_SCRIPTS = load_scripts()


def _list_cases() -> Iterable[object]:
    for script in _SCRIPTS:
        for backend in script.backends or _PROFILES[script.agent].backends:
            yield pytest.param(script, backend, id=f"{script.family}-{script.name}-{backend}")


@pytest.mark.parametrize(("script", "backend"), list(_list_cases()))
async def test_a_script_ends_as_it_must(
    find_attack_bench: FindAttackBench, request: pytest.FixtureRequest, script: AttackScript, backend: Backend
) -> None:
    request.node.user_properties.append((PROPERTY, f"{script.family} | {backend}"))
    bench = await find_attack_bench(backend)
    profile = _PROFILES[script.agent]
    agent = await bench.make_agent(script, profile)
    driver = RestDriver(bench.client, f"/api/v/{bench.bench.connection_id}/rest/v1", agent.token)
    assert all(driver.can_run(step) for step in script.steps if step.is_of_agent)
    await ScriptRun(bench, script, profile, agent, driver).perform()
