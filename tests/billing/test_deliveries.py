"""Deliveries while everything fails, on a served process: the kill between receipt and effect, and a small storm.

`python scripts/deliveries.py` makes ten thousand.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from scripts.deliveries import Billed, run_storm
from tests.chaos.serving import Serving
from tests.fakes.dodo import WEBHOOK_URL, DodoWorld
from tests.fixtures.ports import reserve_port
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


async def test_killed_between_receipt_and_effect(app_database: str, records: Records) -> None:
    """Held at the subscription's row, killed there: the receipt is kept, the effect is not; sent again, it is both."""
    port = reserve_port()
    deployment = Billed(database_url=app_database, port=port)
    world = DodoWorld()
    first = world.subscribe(None)
    second = world.change(first.object_id, "subscription.on_hold", status="on_hold")
    serving = await Serving.start(deployment)
    try:
        async with httpx.AsyncClient(base_url=deployment.origin, trust_env=False, timeout=30) as http:
            sent = world.deliver(first)
            assert (await http.post(WEBHOOK_URL, content=sent.body, headers=sent.headers)).status_code == 200
            sent = world.deliver(second)
            async with await psycopg.AsyncConnection.connect(app_database) as holder:
                await holder.execute("SELECT * FROM billing_subscriptions FOR UPDATE")
                hanging = asyncio.create_task(http.post(WEBHOOK_URL, content=sent.body, headers=sent.headers))
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
                await wait_until(
                    lambda: records.value(waiting),
                    "the delivery to wait for the lock",
                    matches=lambda found: found != 0,
                    seconds=20,
                )
                await serving.kill()
                with pytest.raises(httpx.HTTPError):
                    await hanging
            rows = await records.rows("SELECT applied_at IS NULL AS waits FROM billing_event ORDER BY id")
            assert rows == [{"waits": False}, {"waits": True}]
            serving = await Serving.start(deployment)
            sent = world.deliver(second)
            answer = await http.post(WEBHOOK_URL, content=sent.body, headers=sent.headers)
            assert answer.json() == {"outcome": "applied"}
    finally:
        await serving.stop()
    assert await records.value("SELECT count(*) FROM billing_event WHERE applied_at IS NULL") == 0
    assert await records.value("SELECT count(*) FROM billing_event") == 2


async def test_a_storm_ends_in_the_providers_state(app_database: str) -> None:
    report = await run_storm(app_database, deliveries=300, kills=1, seed=7)
    assert report.wrong == []
    assert report.kills == 1
    assert report.answers["503 not_applied"] > 0
    assert report.answers["200 already_applied"] > 0
