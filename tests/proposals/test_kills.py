"""kill -9 of the process that runs an approval: nothing was changed, and the proposal says so."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from basewarden.proposals import Claims
from tests.chaos.serving import Deployment, serving
from tests.fixtures.app import PASSWORD, make_client
from tests.fixtures.bench import OwnWorkshop, wait_for_lock
from tests.fixtures.ports import reserve_port
from tests.fixtures.sql import run_sql
from tests.fixtures.waiting import wait_until
from tests.proposals.held_messages import hold_messages
from tests.proposals.shop import SHOP, WHOLE_SHOP, ProposalShop, open_shop


def make_deployment(shop: ProposalShop) -> Deployment:
    """For one more process on the same database."""
    settings = shop.bench.product.settings
    assert settings.encryption_key is not None
    assert settings.secret is not None
    port = reserve_port()
    return Deployment(settings.database_url.reveal(), port, settings.encryption_key.reveal(), settings.secret.reveal())


async def sign_in(person: httpx.AsyncClient) -> None:
    account = {"email": "owner@example.com", "password": PASSWORD}
    assert (await person.post("/api/auth/signin", json=account)).status_code == 200


async def test_a_process_that_dies_between_claim_and_commit(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open()
    shop = await open_shop(await workshop.bench(WHOLE_SHOP))
    deployment = make_deployment(shop)
    first = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
    second = await shop.propose("PATCH", "/orders?id=eq.12", {"total": 1})
    async with serving(deployment) as other, make_client(deployment.origin) as person:
        await sign_in(person)
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


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "after"])
async def test_a_process_that_dies_between_record_and_commit(own_workshop: OwnWorkshop, *, is_committed: bool) -> None:
    """The COMMIT is held on its way: the process dies before it arrives, or before it is answered."""
    workshop = await own_workshop.open()
    bench = await workshop.bench(SHOP)
    async with hold_messages(bench.dsn) as held:
        shop = await open_shop(await workshop.connect({"postgresUrl": held.dsn}, bench.dsn, bench.behind))
        deployment = make_deployment(shop)
        proposal = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
        async with serving(deployment) as other, make_client(deployment.origin) as person:
            await sign_in(person)
            held.hold_after(b'UPDATE "public"."orders"')
            approving = asyncio.create_task(person.post(f"{shop.path}/{proposal}/approve"))
            await wait_until(lambda: count_pending(shop), "the write to be recorded")
            if is_committed:
                await held.send_on()
            await other.kill()
            with pytest.raises(httpx.TransportError):
                await approving
            if not is_committed:
                held.drop()
        polled = await wait_until(
            lambda: settle(shop, proposal),
            "the proposal to be settled",
            matches=lambda one: one["status"] != "pending",
            seconds=30,
        )
    total = "1.00" if is_committed else "10.50"
    assert await bench.rows("SELECT total::text FROM orders WHERE id = 11") == [{"total": total}]
    (session,) = await shop.bench.sessions()
    assert session["writeCount"] == (1 if is_committed else 0)
    assert (await shop.approve(proposal)).json()["code"] == "proposal_decided"
    if is_committed:
        assert (polled["status"], polled["sessionId"]) == ("executed", session["id"])
    else:
        assert (polled["status"], polled["reason"]) == ("failed", "The write was rolled back. Nothing was changed.")


async def count_pending(shop: ProposalShop) -> int:
    query = (
        f"SELECT count(*) FROM journal_writes WHERE state = 'pending' AND connection_id = '{shop.bench.connection_id}'"
    )
    (row,) = await run_sql(shop.bench.product.settings.database_url.reveal(), query)
    return int(row[0])


async def settle(shop: ProposalShop, proposal: str) -> dict[str, object]:
    await shop.bench.sessions()  # asks the project what became of the write
    await shop.bench.product.registry.get(Claims).settle_overdue()
    return await shop.poll(proposal)
