"""Proposals where a project's API is all there is: the rows before are pinned, those after are computed."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.fakes.supabase import Supabase
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Workshop
from tests.fixtures.postgres import PostgresServer
from tests.proposals.shop import SHOP, WHOLE_SHOP, ProposalShop, open_shop


@pytest.fixture(scope="module")
async def api_shop(
    postgres: PostgresServer, bench_product: ServedProduct, supabase: Supabase
) -> AsyncIterator[ProposalShop]:
    person = await bench_product.sign_up(f"{uuid4().hex}@example.com")
    workshop = Workshop(postgres, bench_product, person, supabase, "api")
    yield await open_shop(await workshop.bench(WHOLE_SHOP))
    await workshop.close()


@pytest.fixture
async def shop(api_shop: ProposalShop) -> ProposalShop:
    await api_shop.bench.run(
        "TRUNCATE customers, orders, log RESTART IDENTITY;" + SHOP[SHOP.index("INSERT INTO customers") :]
    )
    return api_shop


WRITES = [
    ("PATCH", "/orders?status=eq.new", {"status": "paid"}, "", [("update", "new", "paid")] * 2),
    ("POST", "/orders", [{"customer_id": 2, "status": "x"}, {"customer_id": 3, "status": "y"}], "",
     [("insert", None, "x"), ("insert", None, "y")]),
    ("POST", "/orders", [{"id": 12, "status": "z"}, {"id": 40, "status": "w"}], "resolution=merge-duplicates",
     [("update", "paid", "z"), ("insert", None, "w")]),
    ("POST", "/orders?columns=id", [{"id": 50, "status": "not sent"}], "", [("insert", None, None)]),
    ("PATCH", "/orders?id=eq.11&columns=total", {"status": "not sent", "total": 2}, "", [("update", "new", "new")]),
    ("DELETE", "/orders?customer_id=eq.1", None, "", [("delete", "new", None), ("delete", "paid", None)]),
    ("DELETE", "/customers?id=eq.1", None, "",
     [("delete", None, None), ("update", "new", None), ("update", "paid", None)]),
    ("POST", "/rpc/add_log", {"what": "hello"}, "", []),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "prefer", "changes"), WRITES)
async def test_each_kind_of_write_waits_and_is_run_once(
    shop: ProposalShop, method: str, path: str, body: Any, prefer: str, changes: list[tuple[Any, ...]]
) -> None:
    before = await shop.rows()
    proposal = await shop.propose(method, path, body, prefer=prefer)
    assert await shop.rows() == before
    shown = await shop.read(proposal)
    assert shown["isComputed"]
    assert [
        (one["verb"], (one["before"] or {}).get("status"), (one["after"] or {}).get("status"))
        for one in shown["changes"]
    ] == changes
    approved = await shop.approve(proposal)
    assert approved.status_code == 200, approved.text
    assert await shop.rows() != before
    assert (await shop.poll(proposal))["status"] == "executed"
    journal = await shop.bench.journal(approved.json()["sessionId"])
    assert (journal["agent"]["id"], journal["writes"][-1]["state"]) == (shop.agent.id, "committed")
    assert (await shop.approve(proposal)).json()["code"] == "proposal_decided"


CHANGES = [
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "UPDATE orders SET total = 8 WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "DELETE FROM orders WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "INSERT INTO orders (id, customer_id) VALUES (31, 3)"),
    ("DELETE", "/orders?id=eq.21", None, "UPDATE orders SET total = 8 WHERE id = 21"),
    ("DELETE", "/customers?id=eq.1", None, "INSERT INTO orders (id, customer_id) VALUES (31, 1)"),
    ("DELETE", "/customers?id=eq.1", None, "UPDATE orders SET total = 0 WHERE id = 12"),
    ("DELETE", "/customers?id=eq.1", None, "UPDATE orders SET id = 13 WHERE id = 12"),
    ("PUT", "/customers?id=eq.4", {"id": 4, "name": "Di", "vip": False}, "INSERT INTO customers VALUES (4, 'Dee')"),
]


@pytest.mark.parametrize(("method", "path", "body", "concurrent"), CHANGES)
async def test_what_has_changed_since_is_not_written_over(
    shop: ProposalShop, method: str, path: str, body: Any, concurrent: str
) -> None:
    proposal = await shop.propose(method, path, body)
    await shop.bench.run(concurrent)
    before = await shop.rows()
    answer = await shop.approve(proposal)
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal_stale"), answer.text
    assert await shop.rows() == before
    assert (await shop.poll(proposal))["status"] == "stale"


async def test_what_matches_no_row_is_no_proposal(shop: ProposalShop) -> None:
    answer = await shop.try_write("PATCH", "/orders?id=eq.999", {"total": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_proposed")


async def test_what_the_project_refuses_fails(shop: ProposalShop) -> None:
    proposal = await shop.propose("POST", "/orders", {"customer_id": 77})
    answer = await shop.approve(proposal)
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal_failed")
    assert (await shop.poll(proposal))["status"] == "failed"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_row_that_changes_while_it_is_approved_is_never_written_over(
    api_shop: ProposalShop, method: str
) -> None:
    """Before the check, between it and the write, or after both."""
    dice, run = random.Random(20261128), api_shop.bench.run

    async def edit(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await run("UPDATE orders SET status = 'sent' WHERE id = 21")

    for _ in range(12):
        await run("TRUNCATE customers, orders;" + SHOP[SHOP.index("INSERT INTO customers") :])
        proposal = await api_shop.propose(method, "/orders?status=eq.new", {"total": 1} if method == "PATCH" else None)
        answer, _ = await asyncio.gather(api_shop.approve(proposal), edit(dice.random() * 0.08))
        body = answer.json()
        code = body.get("details", {}).get("code") or body["code"] if answer.status_code != 200 else "done"
        left = await api_shop.bench.rows("SELECT total::int, status FROM orders WHERE id = 21")
        if code == "done":
            assert left == ([{"total": 1, "status": "sent"}] if method == "PATCH" else [])
        else:
            assert code in ("proposal_stale", "partly_written"), body
            assert left == [{"total": 7, "status": "sent"}]
            assert (await api_shop.poll(proposal))["status"] in ("stale", "failed")


async def test_a_result_shows_what_the_agent_may_see_now(shop: ProposalShop) -> None:
    proposal = await shop.propose("PATCH", "/customers?id=eq.1", {"vip": True}, Prefer="return=representation")
    assert (await shop.approve(proposal)).status_code == 200
    agent = f"/api/connections/{shop.bench.connection_id}/agents/{shop.agent.id}"
    for policy, is_shown in (
        ({"tables": {"log": "propose"}}, False),
        ({"tables": None}, True),
    ):
        assert (await shop.bench.person.patch(agent, json=policy)).status_code == 200
        assert bool((await shop.poll(proposal))["result"].get("body")) is is_shown, policy
