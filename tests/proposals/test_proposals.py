"""A write that must be approved: what the agent is answered, what people see, and what an approval does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.fixtures.app import PASSWORD
from tests.fixtures.bench import Workshop
from tests.fixtures.sql import run_sql
from tests.proposals.shop import ADD_LOG, ADD_LOG_TWICE, ProposalShop, open_shop

UNKNOWN = "01890000-0000-7000-8000-000000000000"
PAID = ("PATCH", "/orders?id=eq.11", {"status": "paid"})


async def change_own(shop: ProposalShop, statement: str) -> list[tuple[Any, ...]]:
    """In the product's own database."""
    return await run_sql(shop.bench.product.settings.database_url.reveal(), statement)


async def test_a_write_changes_nothing_until_it_is_approved_and_then_is_the_agents(shop: ProposalShop) -> None:
    before = await shop.rows()
    answer = await shop.ask(*PAID, prefer="return=representation", x_basewarden_session="work")
    assert await shop.rows() == before
    details = answer.json()["details"]
    proposal = details["proposalId"]
    assert details["url"].endswith(f"/c/{shop.bench.connection_id}/proposals/{proposal}")
    left = datetime.fromisoformat(details["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    assert "x-basewarden-session" not in answer.headers
    pending = await shop.poll(proposal)
    assert (pending["status"], "result" in pending, "sessionId" in pending) == ("pending", False, False)
    shown = await shop.read(proposal)
    assert (shown["status"], shown["rowCount"], shown["verb"], shown["label"]) == ("pending", 1, "update", "work")
    (change,) = shown["changes"]
    assert (change["primaryKey"], change["before"]["status"], change["after"]["status"]) == ({"id": 11}, "new", "paid")
    assert (change["beforeExact"]["total"], change["before"]["total"]) == ("10.50", 10.5)
    assert shown["request"]["body"] == '{"status":"paid"}'
    approved = await shop.approve(proposal, reason="Looks right.")
    assert approved.status_code == 200, approved.text
    assert [one["status"] for one in (await shop.rows())["orders"]] == ["paid", "paid", "new"]
    done = await shop.poll(proposal)
    assert (done["status"], done["reason"], done["sessionId"]) == (
        "executed",
        "Looks right.",
        approved.json()["sessionId"],
    )
    assert (done["result"]["status"], done["result"]["body"][0]["status"]) == (200, "paid")
    journal = await shop.bench.journal(done["sessionId"])
    assert (journal["agent"]["id"], journal["label"]) == (shop.agent.id, "work")
    assert [(one["verb"], one["before"]["status"], one["after"]["status"]) for one in journal["mutations"]] == [
        ("update", "new", "paid")
    ]
    decided = (await shop.read(proposal))["decidedBy"]
    page = await shop.bench.person.get(f"/c/{shop.bench.connection_id}/sessions/{done['sessionId']}")
    assert "approved a write" in page.text
    assert decided["name"] in page.text
    again = await shop.approve(proposal)
    assert (again.status_code, again.json()["code"]) == (409, "proposal_decided")
    assert again.json()["details"] == {"proposalId": proposal, "status": "executed"}
    undone = await shop.bench.person.post(
        f"/api/connections/{shop.bench.connection_id}/sessions/{done['sessionId']}/undo", json={"mode": "apply"}
    )
    assert undone.status_code == 200, undone.text
    assert await shop.rows() == before


WRITES = [
    ("PATCH", "/orders?total=gt.8", {"status": "paid"}, "", ["update", "update"]),
    ("PATCH", "/orders?id=eq.11&columns=status", {"status": "paid", "total": 3}, "", ["update"]),
    ("POST", "/orders", {"customer_id": 2, "total": 5}, "return=representation", ["insert"]),
    ("POST", "/orders", [{"customer_id": 3, "total": n} for n in range(200)], "", ["insert"] * 200),
    ("POST", "/customers", [{"id": 1, "name": "Ada L."}, {"id": 9, "name": "Nu"}], "resolution=merge-duplicates", None),
    ("PUT", "/customers?id=eq.2", {"id": 2, "name": "Robert", "vip": True}, "", ["update"]),
    ("DELETE", "/customers?id=eq.1", None, "", ["delete"] * 3),
    ("POST", "/rpc/add_log", {"what": "hello"}, "", []),
]


@pytest.mark.parametrize(("method", "path", "body", "prefer", "verbs"), WRITES)
async def test_each_kind_of_write_is_run_as_it_was_shown(
    shop: ProposalShop, method: str, path: str, body: Any, prefer: str, verbs: list[str] | None
) -> None:
    """The same write by an agent that may write, in a copy of the rows, is what must come of it."""
    before = await shop.rows()
    proposal = await shop.propose(method, path, body, prefer=prefer)
    assert await shop.rows() == before
    shown = await shop.read(proposal)
    assert verbs is None or [one["verb"] for one in shown["changes"]] == verbs
    approved = await shop.approve(proposal)
    assert approved.status_code == 200, approved.text
    after = await shop.rows()
    assert after != before
    journal = await shop.bench.journal(approved.json()["sessionId"])
    write = journal["writes"][-1]
    recorded = [one for one in journal["mutations"] if one["writeId"] == write["id"]]
    assert write["state"] == "committed"
    assert [(one["table"], one["verb"], one["before"]) for one in recorded] == [
        (one["table"], one["verb"], one["before"]) for one in shown["changes"]
    ]
    assert write["unseen"] == shown["unseen"]
    undone = await shop.bench.person.post(
        f"/api/connections/{shop.bench.connection_id}/undo",
        json={"mode": "apply", "target": {"writeIds": [write["id"]]}},
    )
    assert undone.status_code == 200 or method == "POST", undone.text
    if path != "/rpc/add_log":
        assert await shop.rows() == before


ODD = """
    CREATE TABLE IF NOT EXISTS odd (
        id int PRIMARY KEY, j json, n numeric, f float8, b bytea, t text, a text[], r tstzrange, at timestamptz
    );
    ALTER TABLE odd OWNER TO bench_owner;
    TRUNCATE odd;
    INSERT INTO odd VALUES (1, '{"a":"\\u0000", "a": 1.10}', 'NaN', '-Infinity', '\\x00ff', E'x\\n\\\\ \U0001f600 "', '{NULL,"a,b",""}',
        '(-infinity,2026-01-01)', 'infinity'), (2, 'null', 0.1234567890123456789012345678901234567890, 'NaN', '', '', '{}', 'empty', NULL)
"""


async def test_every_value_is_compared_as_it_is(shop: ProposalShop) -> None:
    """The rows go through the store, and must be the same to the last digit afterwards."""
    await shop.bench.run(ODD)
    before = await shop.bench.rows("SELECT t::text FROM odd AS t ORDER BY id")
    proposal = await shop.propose("PATCH", "/odd?id=gt.0", {"t": "'; DROP TABLE odd; -- \U0001f600"})
    approved = await shop.approve(proposal)
    assert approved.status_code == 200, approved.text
    undo = f"/api/connections/{shop.bench.connection_id}/sessions/{approved.json()['sessionId']}/undo"
    assert (await shop.bench.person.post(undo, json={"mode": "apply"})).status_code == 200
    assert await shop.bench.rows("SELECT t::text FROM odd AS t ORDER BY id") == before
    gone = await shop.propose("DELETE", "/odd?id=eq.2")
    await shop.bench.run("UPDATE odd SET n = 0.1234567890123456789012345678901234567891 WHERE id = 2")
    assert (await shop.approve(gone)).json()["code"] == "proposal_stale"


async def test_a_body_of_another_form_is_run_as_it_was_sent(shop: ProposalShop) -> None:
    headers = {"content-type": "text/csv", "prefer": "return=representation"}
    answer = await shop.agent.http.post("/customers", content=b'id,name\n7,Gus\n8,"H, I"\n', headers=headers)
    proposal = answer.json()["details"]["proposalId"]
    assert (await shop.approve(proposal)).status_code == 200
    assert [one["name"] for one in (await shop.poll(proposal))["result"]["body"]] == ["Gus", "H, I"]
    wanted = {"accept": "text/csv", "prefer": "return=representation"}
    asked = await shop.agent.http.patch("/customers?id=eq.7", json={"vip": True}, headers=wanted)
    proposal = asked.json()["details"]["proposalId"]
    assert (await shop.approve(proposal)).status_code == 200
    assert (await shop.poll(proposal))["result"]["body"].splitlines()[0] == "id,name,vip"


CHANGES = [
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "UPDATE orders SET total = 8 WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "UPDATE orders SET updated_at = now() WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "DELETE FROM orders WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "UPDATE orders SET status = 'paid' WHERE id = 21"),
    ("PATCH", "/orders?status=eq.new", {"total": 1}, "INSERT INTO orders (id, customer_id) VALUES (31, 3)"),
    ("DELETE", "/customers?id=eq.1", None, "INSERT INTO orders (id, customer_id) VALUES (31, 1)"),
    ("DELETE", "/customers?id=eq.1", None, "UPDATE orders SET total = 0 WHERE id = 12"),
    ("DELETE", "/customers?id=eq.1", None, "UPDATE customers SET vip = true WHERE id = 1"),
    ("DELETE", "/customers?id=in.(3,4)", None, "INSERT INTO customers VALUES (4, 'Di')"),
    ("PUT", "/customers?id=eq.4", {"id": 4, "name": "Di", "vip": False}, "INSERT INTO customers VALUES (4, 'Dee')"),
    ("POST", "/rpc/add_log", {"what": "hello"}, ADD_LOG_TWICE),
    ("POST", "/customers", {"id": 4, "name": "Di"}, "ALTER TABLE customers ALTER vip SET DEFAULT true"),
]


@pytest.mark.parametrize(("method", "path", "body", "concurrent"), CHANGES)
async def test_what_has_changed_since_is_not_written_over(
    shop: ProposalShop, method: str, path: str, body: Any, concurrent: str
) -> None:
    proposal = await shop.propose(method, path, body)
    await shop.bench.run(concurrent)
    try:
        before = await shop.rows()
        answer = await shop.approve(proposal)
        assert (answer.status_code, answer.json()["code"]) == (409, "proposal_stale"), answer.text
        assert await shop.rows() == before
        polled = await shop.poll(proposal)
        assert (polled["status"], "sessionId" in polled) == ("stale", False)
        assert polled["reason"]
        assert (await shop.approve(proposal)).json()["code"] == "proposal_stale"
    finally:
        await shop.bench.run(f"ALTER TABLE customers ALTER vip SET DEFAULT false; {ADD_LOG}")


async def test_what_others_change_beside_it_does_not_matter(shop: ProposalShop) -> None:
    proposal = await shop.propose(*PAID)
    await shop.bench.run("UPDATE orders SET total = 99 WHERE id = 12; INSERT INTO customers VALUES (8, 'Eve')")
    assert (await shop.approve(proposal)).status_code == 200


async def test_what_the_project_refuses_fails_with_its_words(shop: ProposalShop) -> None:
    proposal = await shop.propose("POST", "/customers", {"id": 4, "name": "Di"})
    await shop.bench.run("INSERT INTO customers VALUES (4, 'Dee')")
    answer = await shop.approve(proposal)
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal_failed")
    assert answer.json()["details"]["code"] == "23505"
    polled = await shop.poll(proposal)
    assert (polled["status"], "duplicate key" in polled["reason"]) == ("failed", True)
    assert (await shop.approve(proposal)).json()["code"] == "proposal_decided"
    assert (await shop.bench.rows("SELECT name FROM customers WHERE id = 4")) == [{"name": "Dee"}]


async def test_a_declined_one_is_never_run(shop: ProposalShop) -> None:
    proposal = await shop.propose(*PAID)
    answer = await shop.bench.person.post(f"{shop.path}/{proposal}/decline", json={"reason": "Not now."})
    assert (answer.status_code, answer.json()) == (200, {"id": proposal, "status": "declined"})
    polled = await shop.poll(proposal)
    assert (polled["status"], polled["reason"]) == ("declined", "Not now.")
    for action in ("approve", "decline"):
        again = await shop.bench.person.post(f"{shop.path}/{proposal}/{action}")
        assert (again.status_code, again.json()["code"]) == (409, "proposal_decided")
    home = await shop.bench.person.get(f"/c/{shop.bench.connection_id}")
    assert "declined a write of Proposer" in home.text


async def test_an_expired_one_is_never_run(shop: ProposalShop) -> None:
    proposal = await shop.propose(*PAID)
    await change_own(shop, f"UPDATE proposals SET expires_at = now() WHERE id = '{proposal}'")
    assert (await shop.poll(proposal))["status"] == "expired"
    assert proposal in await list_ids(shop, status="expired")
    assert proposal not in await list_ids(shop, status="pending")
    for action in ("approve", "decline"):
        answer = await shop.bench.person.post(f"{shop.path}/{proposal}/{action}")
        assert (answer.status_code, answer.json()["code"]) == (410, "proposal_expired")
    assert (await shop.propose(*PAID)) != proposal


async def list_ids(shop: ProposalShop, **query: str | int) -> list[str]:
    answer = await shop.bench.person.get(shop.path, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["proposals"]]


async def test_the_same_request_is_one_proposal_while_its_rows_are_the_same(shop: ProposalShop) -> None:
    first = await shop.propose(*PAID)
    assert await shop.propose(*PAID) == first
    assert await shop.propose("PATCH", "/orders?id=eq.11", {"status": "sent"}) != first
    assert await shop.propose(*PAID, x_basewarden_session="other") != first
    await shop.bench.run("UPDATE orders SET total = 11 WHERE id = 11")
    second = await shop.propose(*PAID)
    assert second != first
    assert (await shop.poll(first))["status"] == "stale"
    assert (await shop.approve(second)).status_code == 200


async def test_an_agent_has_a_hundred_that_wait_at_most(shop: ProposalShop) -> None:
    other = ProposalShop(shop.bench, await shop.bench.agent(access="propose"))
    proposal = await other.propose(*PAID)
    columns = [
        name
        for (name,) in await change_own(
            shop, "SELECT column_name FROM information_schema.columns WHERE table_name = 'proposals'"
        )
    ]
    others = ", ".join(name for name in columns if name not in ("id", "digest"))
    await change_own(
        shop,
        f"INSERT INTO proposals (id, digest, {others}) SELECT gen_random_uuid(), n::text::bytea, {others}"
        f" FROM proposals, generate_series(1, 99) AS n WHERE id = '{proposal}'",
    )
    refused = await other.try_write("PATCH", "/orders?id=eq.12", {"status": "sent"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_proposals")
    assert await other.propose(*PAID) == proposal
    await other.bench.person.post(f"{shop.path}/{proposal}/decline")
    await other.propose("PATCH", "/orders?id=eq.12", {"status": "sent"})
    pages, cursor = [], None
    while True:
        query: dict[str, str | int] = {"agent": other.agent.id, "limit": 40, **({"cursor": cursor} if cursor else {})}
        page = (await shop.bench.person.get(shop.path, params=query)).json()
        pages.append([one["id"] for one in page["proposals"]])
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [40, 40, 21]
    assert len({one for page in pages for one in page}) == 101
    await change_own(shop, f"DELETE FROM proposals WHERE agent_id = '{other.agent.id}'")


async def test_policy_refuses_as_it_does_without_approvals(shop: ProposalShop) -> None:
    agent = await shop.bench.agent(
        access="propose", tables={"orders": "propose", "customers": "read"}, maxRowsPerWrite=2
    )
    narrow = ProposalShop(shop.bench, agent)
    refusals = [
        ("PATCH", "/orders", {"total": 1}, 400, "filter_required"),
        ("PATCH", "/orders?id=gt.0", {"total": 1}, 403, "row_limit"),
        ("PATCH", "/customers?id=eq.1", {"vip": True}, 403, "read_only"),
        ("DELETE", "/log?id=eq.1", None, 403, "table_denied"),
        ("PATCH", "/orders?id=eq.999", {"total": 1}, 409, "nothing_proposed"),
        ("POST", "/orders", {"customer_id": 77}, 409, "23503"),
        ("PATCH", "/orders?id=eq.11", {"nonsense": 1}, 400, "PGRST204"),
    ]
    for method, path, body, status, code in refusals:
        answer = await narrow.try_write(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    rolled_back = await narrow.try_write(*PAID, prefer="tx=rollback,return=representation")
    assert (rolled_back.status_code, rolled_back.json()[0]["status"]) == (200, "paid")
    read = await narrow.agent.http.get("/orders?id=eq.11")
    assert read.json()[0]["status"] == "new"
    assert await list_ids(shop, agent=agent.id) == []


async def test_budgets_count_what_is_run_and_what_is_shown(shop: ProposalShop) -> None:
    """A limit of the hour leaves the proposal pending; what was held back has cost nothing."""
    agent = await shop.bench.agent(access="propose", maxRowsPerHour=2, maxReadRowsPerHour=2)
    small = ProposalShop(shop.bench, agent)
    ids = [
        await small.propose("PATCH", f"/orders?id=eq.{n}", {"total": n}, prefer="return=representation")
        for n in (11, 12, 21)
    ]
    for one in ids[:2]:
        assert (await small.approve(one)).status_code == 200
    answer = await small.approve(ids[2])
    assert (answer.status_code, answer.json()["code"]) == (429, "budget_exceeded")
    assert (await small.poll(ids[2]))["status"] == "pending"
    assert (await shop.bench.rows("SELECT total::int FROM orders WHERE id = 21")) == [{"total": 7}]


async def test_what_cannot_be_reviewed_is_refused(shop: ProposalShop) -> None:
    agent = await shop.bench.agent(access="propose", maxRowsPerWrite=5000)
    wide = ProposalShop(shop.bench, agent)
    for body in (
        [{"id": 1000 + n, "name": "x"} for n in range(1001)],
        [{"id": 1000 + n, "name": "x" * 1_000_000} for n in range(2)],
    ):
        answer = await wide.try_write("POST", "/customers", body)
        assert (answer.status_code, answer.json()["code"]) == (413, "proposal_too_large")
    assert len((await shop.rows())["customers"]) == 3


async def test_a_stopped_agents_proposal_waits_until_it_is_released(shop: ProposalShop) -> None:
    proposal = await shop.propose(*PAID)
    agents = f"/api/connections/{shop.bench.connection_id}/agents/{shop.agent.id}"
    assert (await shop.bench.person.post(f"{agents}/freeze")).status_code == 200
    answer = await shop.approve(proposal)
    assert (answer.status_code, answer.json()["code"]) == (423, "agent_frozen")
    assert (await shop.bench.person.post(f"{agents}/release", json={"reason": "Seen."})).status_code == 200
    assert (await shop.poll(proposal))["status"] == "pending"
    assert (await shop.approve(proposal)).status_code == 200


async def test_a_revoked_agents_proposal_fails(shop: ProposalShop) -> None:
    gone = ProposalShop(shop.bench, await shop.bench.agent(access="propose"))
    proposal = await gone.propose(*PAID)
    await shop.bench.person.delete(f"/api/connections/{shop.bench.connection_id}/agents/{gone.agent.id}")
    answer = await shop.approve(proposal)
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal_failed")
    assert (await shop.bench.rows("SELECT status FROM orders WHERE id = 11")) == [{"status": "new"}]


async def test_several_are_decided_each_alone(shop: ProposalShop) -> None:
    ids = [await shop.propose("PATCH", f"/orders?id=eq.{n}", {"total": n}) for n in (11, 12, 21)]
    await shop.bench.run("UPDATE orders SET total = 0 WHERE id = 12")
    answer = await shop.bench.person.post(
        f"{shop.path}/approve", json={"ids": [*ids, ids[0], UNKNOWN], "reason": "All."}
    )
    assert answer.status_code == 200, answer.text
    results = [(one["id"], one["status"], one["code"]) for one in answer.json()["results"]]
    assert results == [
        (ids[0], "executed", None),
        (ids[1], None, "proposal_stale"),
        (ids[2], "executed", None),
        (ids[0], None, "proposal_decided"),
        (UNKNOWN, None, "not_found"),
    ]
    more = [await shop.propose("PATCH", f"/orders?id=eq.{n}", {"total": 5}) for n in (11, 12)]
    answer = await shop.bench.person.post(f"{shop.path}/decline", json={"ids": more})
    assert [one["status"] for one in answer.json()["results"]] == ["declined", "declined"]


WRONG: list[tuple[str, str, Any, int]] = [
    ("GET", "?status=nonsense", None, 422),
    ("GET", "?agent=nonsense", None, 422),
    ("GET", "?limit=0", None, 422),
    ("GET", "?cursor=nonsense", None, 422),
    ("GET", "/nonsense", None, 404),
    ("GET", f"/{UNKNOWN}", None, 404),
    ("POST", f"/{UNKNOWN}/approve", None, 404),
    ("POST", "/nonsense/approve", None, 404),
    ("POST", f"/{UNKNOWN}/decline", None, 404),
    ("POST", f"/{UNKNOWN}/approve", {"reason": "x" * 201}, 422),
    ("POST", f"/{UNKNOWN}/approve", {"reason": "a\nb"}, 422),
    ("POST", f"/{UNKNOWN}/approve", {"other": 1}, 422),
    ("POST", "/approve", {"ids": []}, 422),
    ("POST", "/approve", {"ids": [UNKNOWN] * 51}, 422),
    ("POST", "/decline", {"ids": ["nonsense"]}, 422),
]


async def test_wrong_input_is_refused(shop: ProposalShop) -> None:
    for method, path, body, status in WRONG:
        answer = await shop.bench.person.request(method, shop.path + path, json=body)
        assert answer.status_code == status, (method, path, answer.text)


async def test_others_learn_nothing(shop: ProposalShop) -> None:
    """Another agent, another connection's people, people at the agent's address, an agent at the people's."""
    proposal = await shop.propose(*PAID)
    other = await shop.bench.agent(access="propose")
    assert (await other.api.get(f"/proposals/{proposal}")).status_code == 404
    for path in (f"/proposals/{UNKNOWN}", "/proposals/nonsense", "/proposals", f"/proposals/{proposal}/x"):
        assert (await shop.agent.api.get(path)).status_code == 404
    assert (await shop.agent.api.post(f"/proposals/{proposal}")).status_code == 404
    member = await shop.bench.person.get(f"/api/v/{shop.bench.connection_id}/proposals/{proposal}")
    assert (member.status_code, member.json()["code"]) == (403, "forbidden")
    stranger = await shop.bench.product.sign_up(f"{uuid4().hex}@example.com")
    for method, path in (("GET", ""), ("GET", f"/{proposal}"), ("POST", f"/{proposal}/approve")):
        assert (await stranger.request(method, shop.path + path)).status_code == 404
    assert (
        await shop.agent.http.post(shop.bench.product.settings.origin + f"{shop.path}/{proposal}/approve")
    ).status_code in (
        401,
        403,
    )
    assert (await shop.poll(proposal))["status"] == "pending"


async def test_the_person_who_created_the_agent_may_be_kept_from_approving(shop: ProposalShop) -> None:
    rule = f"/api/connections/{shop.bench.connection_id}/approvals"
    proposal = await shop.propose(*PAID)
    editor = await shop.bench.member("editor")
    assert (await editor.put(rule, json={"byAnother": True})).status_code == 403
    answer = await shop.bench.person.put(rule, json={"byAnother": True})
    assert (answer.status_code, answer.json()) == (200, {"byAnother": True})
    refused = await shop.approve(proposal)
    assert (refused.status_code, refused.json()["code"]) == (403, "other_approver_required")
    assert (await shop.poll(proposal))["status"] == "pending"
    assert (await editor.post(f"{shop.path}/{proposal}/approve")).status_code == 200
    old = await sign_in_long_ago(shop)
    assert (await old.put(rule, json={"byAnother": False})).json()["code"] == "reauth_required"
    assert (await old.put(rule, json={"byAnother": True})).status_code == 200
    connection = await old.get(f"/api/connections/{shop.bench.connection_id}")
    assert connection.json()["approvalByAnother"] is True
    assert (await shop.bench.person.put(rule, json={"byAnother": False})).json() == {"byAnother": False}
    assert (await shop.approve(await shop.propose("PATCH", "/orders?id=eq.12", {"total": 1}))).status_code == 200


async def sign_in_long_ago(shop: ProposalShop) -> httpx.AsyncClient:
    """One more sign-in session of the owner, which no process has seen yet."""
    user = (await shop.bench.person.get("/api/auth/session")).json()["user"]
    client = await shop.bench.product.client()
    sent = await client.post("/api/auth/signin", json={"email": user["email"], "password": PASSWORD})
    assert sent.status_code == 200
    await change_own(
        shop,
        "UPDATE signin_sessions SET authenticated_at = now() - interval '1 hour' WHERE id = (SELECT id FROM"
        f" signin_sessions WHERE user_id = '{user['id']}' ORDER BY created_at DESC LIMIT 1)",
    )
    return client


async def test_a_result_shows_what_the_agent_may_see_now(shop: ProposalShop) -> None:
    """What was hidden after the approval was shown by asking again, as long as the proposal is kept."""
    asked = {"vip": True}
    whole, alias, narrow = [
        await shop.propose("PATCH", f"/customers?id=eq.{number}{select}", asked, Prefer="return=representation")
        for number, select in ((1, ""), (2, "&select=id,called:name"), (3, "&select=id"))
    ]
    for one in (whole, alias, narrow):
        assert (await shop.approve(one)).status_code == 200
        assert (await shop.poll(one))["result"]["body"]
    agent = f"/api/connections/{shop.bench.connection_id}/agents/{shop.agent.id}"

    async def show(**policy: Any) -> list[bool]:
        changed = await shop.bench.person.patch(agent, json=policy)
        assert changed.status_code == 200, changed.text
        return [bool((await shop.poll(one))["result"].get("body")) for one in (whole, alias, narrow)]

    try:
        for rule in ("deny", "mask"):
            assert await show(columns={"customers": {"name": rule}}) == [False, False, True], rule
        assert await show(columns=None, tables={"log": "propose"}) == [False, False, False]
    finally:
        assert await show(columns=None, tables=None) == [True, True, True]
    assert await show(columns={"customers": {"name": "mask"}}) == [False, False, True]
    masked = await shop.propose("PATCH", "/customers?id=eq.1", {"vip": False}, Prefer="return=representation")
    assert (await shop.approve(masked)).status_code == 200
    assert (await shop.poll(masked))["result"]["body"][0]["name"] == "•••"
    assert await show(columns=None) == [True, True, True]


async def test_a_result_shows_no_column_that_follows_from_a_hidden_one(workshop: Workshop) -> None:
    """Nor one whose name was written in another way."""
    bench = await workshop.bench("""
        CREATE TABLE people (id int PRIMARY KEY, mail text, vip bool, host text GENERATED ALWAYS AS (split_part(mail, '@', 2)) STORED);
        INSERT INTO people VALUES (1, 'ada@secret'), (2, 'ada@secret'), (3, 'ada@secret');
    """)
    shop = await open_shop(bench)
    proposals = [
        await shop.propose(
            "PATCH", f"/people?id=eq.{number}&select={select}", {"vip": True}, Prefer="return=representation"
        )
        for number, select in ((1, "id,host"), (2, 'id,x:"ma\\il"'), (3, "id,vip"))
    ]
    for one in proposals:
        assert (await shop.approve(one)).status_code == 200
    bodies = [(await shop.poll(one))["result"].get("body") for one in proposals]
    assert bodies == [[{"id": 1, "host": "secret"}], [{"id": 2, "x": "ada@secret"}], [{"id": 3, "vip": True}]]
    agent = f"/api/connections/{bench.connection_id}/agents/{shop.agent.id}"
    assert (await bench.person.patch(agent, json={"columns": {"people": {"mail": "mask"}}})).status_code == 200
    bodies = [(await shop.poll(one))["result"].get("body") for one in proposals]
    assert bodies == [None, None, [{"id": 3, "vip": True}]]
