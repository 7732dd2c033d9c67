"""kill -9 loses nothing and invents nothing. `scripts/chaos.py --rounds 50` is the same with more rounds."""

import os

import pytest

from tests.chaos.audit import install_audit
from tests.chaos.load import open_office
from tests.chaos.rounds import compare_with_truth, digest_world, run_rounds, undo_everything, wait_settled
from tests.chaos.serving import Deployment, Serving
from tests.chaos.worlds import SHOP, SMALL, ChaosWorld
from tests.fixtures.ports import reserve_port
from tests.fixtures.postgres import PostgresServer

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))
NEVER = {500, 502}


@pytest.fixture
def deployment(app_database: str) -> Deployment:
    port = reserve_port()
    return Deployment(app_database, port)


@pytest.mark.slow
@pytest.mark.parametrize("world", [SMALL, SHOP], ids=lambda world: world.name)
async def test_kills_lose_nothing_and_invent_nothing(
    world: ChaosWorld,
    deployment: Deployment,
    postgres: PostgresServer,
    database: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postgres_url = await world.fill(database)
    project_dsn = postgres.embedded.dsn(postgres_url.rpartition("/")[2])
    await install_audit(project_dsn)
    at_first = await digest_world(project_dsn)
    serving = await Serving.start(deployment)
    try:
        async with open_office(deployment.origin, postgres_url, world.db_role) as office:
            report, serving = await run_rounds(deployment, office, world, ROUNDS, SEED, serving)
            await wait_settled(deployment, office)
            report.changes = await compare_with_truth(deployment, office, project_dsn)
            with capsys.disabled():
                print(f"\n{world.name}: {report}")
            assert report.changes > 10 * ROUNDS
            assert not NEVER & report.statuses.keys(), "".join(deployment.said)
            assert await digest_world(project_dsn) != at_first

            await undo_everything(deployment, office)
            await wait_settled(deployment, office)
            assert await digest_world(project_dsn) == at_first
    finally:
        await serving.stop()
