"""Two who approve at once, in two processes; a process that dies while it approves."""

import asyncio
from datetime import timedelta
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.db import Database
from basewarden.journal import Reconciler, Recorder, SessionCaller, WriteEntry
from basewarden.proposals import Claims, Decider
from basewarden.proposals.wiring import list_pruners
from tests.fixtures.app import PASSWORD
from tests.fixtures.bench import OwnWorkshop, wait_for_lock
from tests.fixtures.sql import run_sql
from tests.proposals.shop import WHOLE_SHOP, ProposalShop, open_shop


async def test_of_two_approvals_at_once_in_two_processes_one_runs(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open()
    shop = await open_shop(await workshop.bench(WHOLE_SHOP))
    second = await own_workshop.open_more({})
    signed_in = await second.post("/api/auth/signin", json={"email": "owner@example.com", "password": PASSWORD})
    assert signed_in.status_code == 200
    for number in range(6):
        before = len(await shop.bench.rows("SELECT 1 FROM log"))
        proposal = await shop.propose("POST", "/rpc/add_log", {"what": f"once {number}"})
        address = f"{shop.path}/{proposal}"
        answers = await asyncio.gather(
            *(person.post(f"{address}/approve") for person in (shop.bench.person, second) for _ in range(3)),
            second.post(f"{address}/decline"),
        )
        statuses = sorted(one.status_code for one in answers)
        assert statuses == [200, *[409] * 6], [one.text for one in answers]
        assert {one.json()["code"] for one in answers if one.status_code == 409} == {"proposal_decided"}
        is_declined = answers[-1].status_code == 200
        assert len(await shop.bench.rows("SELECT 1 FROM log")) == before + (0 if is_declined else 1)


async def test_a_claim_whose_process_died_is_settled_by_the_journal(own_workshop: OwnWorkshop) -> None:
    """Before the write was recorded; after it, with the transaction committed, rolled back, or still running."""
    workshop = await own_workshop.open()
    shop = await open_shop(await workshop.bench(WHOLE_SHOP))
    registry = shop.bench.product.registry
    claims, recorder, reconciler = registry.get(Claims), registry.get(Recorder), registry.get(Reconciler)
    connection_id, by = UUID(shop.bench.connection_id), Decider(make_id(), "Anna", "Fine.")
    lost = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
    await claims.claim(connection_id, lost, by)
    assert (await shop.poll(lost))["status"] == "pending"
    await claims.settle_overdue()
    assert (await shop.poll(lost))["status"] == "pending"
    await claims.settle_overdue(timedelta(0))
    polled = await shop.poll(lost)
    assert (polled["status"], polled["reason"]) == ("failed", "The approval was interrupted. Nothing was changed.")
    for number, (end, status) in enumerate((("COMMIT", "executed"), ("ROLLBACK", "failed"))):
        proposal = await shop.propose("PATCH", "/orders?id=eq.12", {"total": number + 5})
        claim = await claims.claim(connection_id, proposal, by)
        await shop.bench.run("BEGIN")
        (row,) = await shop.bench.rows("SELECT pg_current_xact_id()::text AS xid")
        caller = SessionCaller(connection_id, "agent", UUID(shop.agent.id), "Proposer")
        entry = WriteEntry(caller, int(row["xid"]), "update", "public", "orders", "", (), write_id=claim.write_id)
        recorded = await recorder.record(entry)
        await run_sql(
            shop.bench.product.settings.database_url.reveal(),
            f"UPDATE proposals SET claimed_at = now() - interval '10 minutes' WHERE id = '{proposal}'",
        )
        await reconciler.reconcile(connection_id)
        await claims.settle_overdue(timedelta(0))
        assert (await shop.poll(proposal))["status"] == "pending", "its transaction still runs"
        await shop.bench.run(end)
        await reconciler.reconcile(connection_id)
        await claims.settle_overdue()
        polled = await shop.poll(proposal)
        assert (polled["status"], polled["sessionId"]) == (status, str(recorded.session_id))
        if status == "executed":
            page = await shop.bench.person.get(f"/c/{connection_id}/sessions/{recorded.session_id}")
            assert "Anna" in page.text


async def test_an_approval_that_lost_its_claim_changes_nothing(own_workshop: OwnWorkshop) -> None:
    """It waits for a row so long that its claim is taken away, and goes on then."""
    workshop = await own_workshop.open()
    shop = await open_shop(await workshop.bench(WHOLE_SHOP))
    claims = shop.bench.product.registry.get(Claims)
    proposal = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
    await shop.bench.run("BEGIN; SELECT 1 FROM orders WHERE id = 11 FOR UPDATE")
    approving = asyncio.create_task(shop.approve(proposal))
    await wait_for_lock(shop.bench)
    await claims.settle_overdue(timedelta(0))
    assert (await shop.poll(proposal))["status"] == "failed"
    await shop.bench.run("ROLLBACK")
    answer = await approving
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal_failed"), answer.text
    assert await shop.bench.rows("SELECT total::text FROM orders WHERE id = 11") == [{"total": "10.50"}]
    assert await shop.bench.sessions() == []


async def test_kept_as_long_as_the_journal_and_exported(own_workshop: OwnWorkshop) -> None:
    """Deleting the connection deletes its proposals; deleting a person's account takes their name away."""
    workshop = await own_workshop.open()
    shop: ProposalShop = await open_shop(await workshop.bench(WHOLE_SHOP))
    proposal = await shop.propose("PATCH", "/orders?id=eq.11", {"total": 1})
    waiting = await shop.propose("PATCH", "/orders?id=eq.12", {"total": 1})
    assert (await shop.approve(proposal, reason="Mine.")).status_code == 200
    export = (await shop.bench.person.get("/api/account/export")).json()
    assert {one["id"]: (one["status"], one["reason"]) for one in export["proposals"]} == {
        proposal: ("executed", "Mine."),
        waiting: ("pending", None),
    }
    database = shop.bench.product.registry.get(Database)
    await run_sql(
        shop.bench.product.settings.database_url.reveal(),
        "UPDATE proposals SET created_at = now() - interval '91 days', expires_at = now() - interval '90 days'",
    )
    await shop.bench.product.registry.get(Claims).settle_overdue()
    (pruner,) = list_pruners(shop.bench.product.registry)
    assert await pruner.prune(database, pruner.keep, 100) == 2
    assert (await shop.bench.person.get(shop.path)).json()["proposals"] == []
