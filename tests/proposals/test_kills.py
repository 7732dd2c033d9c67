"""kill -9 of the process that runs an approval: nothing was changed, and the proposal says so."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from basewarden.proposals import Claims
from tests.chaos.serving import Deployment, serving
from tests.fixtures.app import PASSWORD, make_client, pick_port
from tests.fixtures.bench import OwnWorkshop, wait_for_lock
from tests.proposals.shop import WHOLE_SHOP, open_shop


async def test_a_process_that_dies_between_claim_and_commit(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open()
    shop = await open_shop(await workshop.bench(WHOLE_SHOP))
    settings = shop.bench.product.settings
    assert settings.encryption_key is not None
    assert settings.secret is not None
    with pick_port() as held:
        port = held.getsockname()[1]
    deployment = Deployment(
        settings.database_url.reveal(), port, settings.encryption_key.reveal(), settings.secret.reveal()
    )
    first = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
    second = await shop.propose("PATCH", "/orders?id=eq.12", {"total": 1})
    async with serving(deployment) as other, make_client(deployment.origin) as person:
        account = {"email": "owner@example.com", "password": PASSWORD}
        assert (await person.post("/api/auth/signin", json=account)).status_code == 200
        assert (await person.post(f"{shop.path}/{second}/approve")).status_code == 200
        await shop.bench.run("BEGIN; SELECT 1 FROM orders WHERE id = 11 FOR UPDATE")
        approving = asyncio.create_task(person.post(f"{shop.path}/{first}/approve"))
        await wait_for_lock(shop.bench)
        await other.kill()
        with pytest.raises(httpx.TransportError):
            await approving
    await shop.bench.run("ROLLBACK")
    assert (await shop.poll(second))["status"] == "executed"
    assert (await shop.approve(first)).json()["code"] == "proposal_decided"
    await shop.bench.product.registry.get(Claims).settle_overdue(timedelta(0))
    polled = await shop.poll(first)
    assert (polled["status"], polled["reason"]) == ("failed", "The approval was interrupted. Nothing was changed.")
    assert await shop.bench.rows("SELECT total::text FROM orders WHERE id = 11") == [{"total": "10.50"}]
    (session,) = await shop.bench.sessions()
    assert session["writeCount"] == 1
