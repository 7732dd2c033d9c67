"""The pages of proposals, used as a person without script would: the list, a proposal in each state, several at once."""

import asyncio
import io
import json
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from basewarden.alerts.collecting import AlertCollector
from basewarden.connections import Agent, ExampleTable, make_snippets
from tests.fixtures.bench import Bench, BenchAgent, Workshop
from tests.fixtures.html_forms import find_forms
from tests.journal.test_live import events_path, follow

PRICES = """
    CREATE TABLE products (id int PRIMARY KEY, name text);
    CREATE TABLE prices (id int PRIMARY KEY, product_id int REFERENCES products ON DELETE CASCADE, amount numeric);
    INSERT INTO products SELECT n, 'Product ' || n FROM generate_series(1, 150) n;
    INSERT INTO prices SELECT n, n, 10 + n FROM generate_series(1, 150) n;
"""
HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"


@dataclass(frozen=True)
class ProposingBench:
    """A connection with an agent that proposes; `path` is the list's."""

    shop: Bench
    agent: BenchAgent

    @property
    def path(self) -> str:
        return f"/c/{self.shop.connection_id}/proposals"

    async def propose(self, where: str, method: str = "PATCH", body: Any = None, **options: Any) -> str:
        """Returns the proposal's id."""
        answer = await self.agent.http.request(method, where, json=body, **options)
        assert (answer.status_code, answer.json()["code"]) == (403, "approval_required"), answer.text
        return str(answer.json()["details"]["proposalId"])

    async def open(self, below: str = "", client: httpx.AsyncClient | None = None) -> str:
        return await self.read(self.path + below, client)

    async def read(self, path: str, client: httpx.AsyncClient | None = None) -> str:
        answer = await (client or self.shop.person).get(path)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    async def post(self, below: str, client: httpx.AsyncClient | None = None, **typed: Any) -> httpx.Response:
        return await (client or self.shop.person).post(self.path + below, data=typed)


@pytest.fixture
async def bench(workshop: Workshop) -> ProposingBench:
    shop = await workshop.bench(PRICES, name="Shop")
    return ProposingBench(shop, await shop.agent(name="price-bot", access="propose"))


async def test_from_an_empty_list_to_an_approved_write_that_can_be_undone(bench: ProposingBench) -> None:
    page = await bench.open()
    assert "No proposals yet" in page
    assert "/agents/new?template=support" in page
    one = await bench.propose("/prices?id=lt.3", body={"amount": 99}, headers={"x-basewarden-session": HOSTILE})
    page = await bench.open()
    assert "Change 2 prices" in page
    assert page.count(f'href="{bench.path}/{one}"') == 2
    assert HOSTILE not in (await bench.shop.person.get(bench.path)).text
    assert "1 waiting for a decision" in page, "the sidebar counts it"
    home = await bench.read(f"/c/{bench.shop.connection_id}")
    assert "<b>Proposal:</b> price-bot wants to" in home
    assert f"/proposals/{one}" in home
    page = await bench.open(f"/{one}")
    for text in ("price-bot", "Approve 2 rows", "became", "Product 1", "PATCH /prices?id=lt.3", '{"amount":99}'):
        assert text in page, text
    assert re.search(r"<del[^>]*>11</del>.*?<ins[^>]*>99</ins>", page)
    answer = await bench.post(f"/{one}/approve", reason="looks right")
    assert answer.headers["location"] == f"{bench.path}/{one}"
    page = await bench.open(f"/{one}")
    assert "Approved and carried out" in page
    assert "Approved by you, " in page
    assert "looks right" in page
    session = re.search(r'href="(/c/[^"]*/sessions/[0-9a-f-]+)"', page)
    assert session is not None
    assert f'href="{session[1]}/undo?write=' in page
    shown = await bench.read(session[1])
    assert "approved a write" in shown
    assert "looks right" in shown
    assert await bench.shop.rows("SELECT amount FROM prices WHERE id < 3") == [{"amount": 99}, {"amount": 99}]
    again = await bench.post(f"/{one}/approve")
    assert again.status_code == 409
    assert "This proposal is approved already." in unescape(again.text)
    assert "Nothing waits for a decision" in await bench.open()
    assert f'href="{bench.path}/{one}"' in await bench.open("?status=executed")


async def test_each_state_says_what_happened_and_what_to_do(bench: ProposingBench) -> None:
    stale, declined, failed, expired = [
        await bench.propose(f"/prices?id=eq.{number}", body={"amount": 1}) for number in (1, 2, 3, 4)
    ]
    await bench.shop.run("UPDATE prices SET amount = 5 WHERE id = 1")
    answer = await bench.post(f"/{stale}/approve")
    assert answer.status_code == 409
    page = unescape(answer.text)
    assert "Stale, so nothing was changed" in page
    assert "Rows of public.prices have changed since this was proposed." in page
    assert "can send the request again" in page
    assert "Approve 1 row" not in page
    question = await bench.open(f"/decline?id={declined}")
    assert "Decline this proposal?" in question
    answer = await bench.post("/decline", id=declined, reason=HOSTILE)
    assert answer.headers["location"] == f"{bench.path}/{declined}"
    page = await bench.open(f"/{declined}")
    assert "Declined, so nothing was changed" in page
    assert "price-bot sees this, with the reason" in page
    assert HOSTILE not in (await bench.shop.person.get(f"{bench.path}/{declined}")).text
    polled = await bench.agent.api.get(f"/proposals/{declined}")
    assert (polled.json()["status"], polled.json()["reason"]) == ("declined", HOSTILE)
    await bench.shop.run("ALTER TABLE prices ADD CHECK (id <> 3 OR amount > 1)")
    page = unescape((await bench.post(f"/{failed}/approve")).text)
    assert "Approved, but it failed" in page
    assert "violates check constraint" in page
    await bench.shop.query("UPDATE proposals SET expires_at = now() - interval '1 s' WHERE id = %s", expired)
    page = await bench.open(f"/{expired}")
    assert "Expired without a decision" in page
    assert "Approve 1 row" not in page
    tabs = await bench.open("?status=all")
    for status in ("stale", "declined", "failed", "expired"):
        assert f'href="{bench.path}?status={status}"' in tabs
        assert "Change 1 price" in await bench.open(f"?status={status}")
    assert await bench.shop.rows("SELECT id FROM prices WHERE amount = 1") == []


async def test_several_are_decided_together_and_each_for_itself(bench: ProposingBench) -> None:
    ids = [await bench.propose(f"/prices?id=eq.{number}", body={"amount": 2}) for number in (1, 2, 3)]
    page = await bench.open()
    assert all(f'name="id" value="{one}"' in page for one in ids)
    chosen = "&".join(f"id={one}" for one in ids)
    question = await bench.shop.person.get(f"{bench.path}/approve?{chosen}")
    assert "Approve 3 proposals?" in question.text
    assert "3 rows in all" in question.text
    (form,) = find_forms(question, re.compile(re.escape(f"{bench.path}/approve") + r"\Z"))
    await bench.shop.run("UPDATE prices SET amount = 5 WHERE id = 2")
    answer = await form.submit(bench.shop.person, question)
    assert answer.headers["location"] == f"{bench.path}?approved=2&stale=1"
    page = await bench.open("?approved=2&stale=1")
    assert "2 proposals were approved." in page
    assert "1 is stale: rows have changed since, so nothing was changed." in page
    assert await bench.shop.rows("SELECT id FROM prices WHERE amount = 2 ORDER BY id") == [{"id": 1}, {"id": 3}]
    again = await bench.shop.person.get(f"{bench.path}/approve?{chosen}")
    assert again.headers["location"] == bench.path
    other = await bench.propose("/prices?id=eq.9", body={"amount": 2})
    for mixed in ([ids[0], str(uuid4())], [other, "x"]):
        assert (await bench.post("/approve", id=mixed)).status_code == 404
    for odd in ("?approved=x&stale=-1", "?approved=99999999999999999999"):
        assert 'class="alert' not in await bench.open(odd)
    assert (await bench.post("/approve")).headers["location"] == bench.path
    assert (await bench.post("/approve", id=[other] * 51)).status_code == 422
    assert (await bench.post("/decline", id=other, reason="x" * 201)).status_code == 422
    assert (await bench.shop.person.get(f"{bench.path}/approve?" + "&".join([f"id={other}"] * 51))).status_code == 422


async def test_many_rows_have_pages_and_cascades_are_named(bench: ProposingBench) -> None:
    many = await bench.propose("/prices?id=lt.121", body={"amount": 3})
    page = await bench.open(f"/{many}")
    assert page.count('<li class="entry') == 100
    assert "1 to 100 of 120" in page
    page = await bench.open(f"/{many}?after=100")
    assert page.count('<li class="entry') == 20
    assert (await bench.shop.person.get(f"{bench.path}/{many}?after=-1")).status_code == 422
    assert (await bench.open(f"/{many}?after=1000000")).count('<li class="entry') == 1
    deleted = await bench.propose("/products?id=eq.140", "DELETE")
    page = await bench.open(f"/{deleted}")
    assert "Delete 1 product" in page
    assert "Approve 2 rows" in page
    assert ">prices</h2>" in page
    added = await bench.propose("/products", "POST", {"id": 200, "name": HOSTILE})
    page = await bench.open(f"/{added}")
    assert "Add 1 product" in page
    assert "/data/public.products/200" not in page, "it has no page yet"
    assert HOSTILE not in (await bench.shop.person.get(f"{bench.path}/{added}")).text


async def test_who_sees_and_who_decides(bench: ProposingBench) -> None:
    one = await bench.propose("/prices?id=eq.1", body={"amount": 4})
    viewer, editor = await bench.shop.member("viewer"), await bench.shop.member("editor")
    stranger = await bench.shop.product.sign_up(f"{uuid4().hex}@example.com")
    for below in ("", f"/{one}", f"/approve?id={one}", f"/decline?id={one}"):
        assert (await stranger.get(bench.path + below)).status_code == 404, below
    for below in (f"/{one}/approve", "/approve", "/decline"):
        assert (await bench.post(below, stranger, id=one)).status_code == 404, below
        assert (await bench.post(below, viewer, id=one)).status_code == 403, below
    page = await bench.open(f"/{one}", viewer)
    assert "An editor or owner of this connection decides." in page
    assert 'id="decision"' not in page
    for odd in (f"/{uuid4()}", "/x", f"/{uuid4()}/approve"):
        assert (await bench.shop.person.get(bench.path + odd, follow_redirects=True)).status_code == 404, odd
    assert (await bench.post(f"/{uuid4()}/approve")).status_code == 404
    for below in ("?status=nothing", "?agent=x", "?cursor=x"):
        assert (await bench.shop.person.get(bench.path + below)).status_code == 422, below
    members = f"/c/{bench.shop.connection_id}/members"
    rule = await bench.shop.person.get(f"{members}/approvals")
    assert re.findall(r'class="sidebar-link" href="/c/[^/"]*/(\w+)"[^>]* aria-current="page"', rule.text) == [
        "settings"
    ]
    (form,) = find_forms(rule, re.compile(re.escape(f"{members}/approvals") + r"\Z"))
    done = (await form.submit(bench.shop.person, rule)).headers["location"]
    assert "another person" in (await bench.shop.person.get(done)).text.lower()
    assert (await editor.get(f"{members}/approvals")).status_code == 403
    page = await bench.open(f"/{one}")
    assert "Another person must approve this: you created price-bot. You can decline it." in page
    assert "Approve 1 row" not in page
    refused = await bench.post(f"/{one}/approve")
    assert refused.status_code == 403
    assert "another person must approve its writes" in unescape(refused.text)
    assert (await bench.post(f"/{one}/approve", editor)).headers["location"].endswith(one)
    off = await bench.shop.person.post(f"{members}/approvals", data={"byAnother": "0"})
    assert off.headers["location"] == f"{members}?done=approvals-own"


async def test_a_proposal_is_an_alert_a_live_event_and_a_command(bench: ProposingBench) -> None:
    target = {"channel": "webhook", "target": "http://127.0.0.1:9/hook", "events": ["proposal_created"]}
    alerts = f"/api/connections/{bench.shop.connection_id}/alerts"
    alert = (await bench.shop.person.post(alerts, json=target)).json()["id"]
    async with follow(bench.shop.person, events_path(bench.shop)) as stream:
        one = await bench.propose(
            "/prices?id=eq.1", body={"amount": 987.25}, headers={"x-basewarden-session": "evil.example"}
        )
        [event] = await stream.wait_for(1, "proposal")
        assert (event["proposalId"], event["status"], event["agent"]) == (one, "pending", "price-bot")
        await bench.post(f"/{one}/approve")
        assert (await stream.wait_for(2, "proposal"))[-1]["status"] in ("pending", "executed")
    await bench.shop.product.registry.get(AlertCollector).sweep()
    [(payload,)] = await bench.shop.query("SELECT payload FROM alert_deliveries WHERE alert_id = %s", alert)
    data = json.loads(payload)["data"]
    assert data["title"] == "1 proposal waits for a decision on Shop"
    assert data["url"] == f"{bench.shop.product.settings.origin}{bench.path}/{one}"
    [item] = data["items"]
    assert item["text"] == "price-bot: Change 1 price. Waits for a decision."
    assert (item["facts"]["proposalId"], item["facts"]["rows"]) == (one, 1)
    assert "987.25" not in payload
    assert "evil.example" not in payload
    two = await bench.propose("/prices?id=eq.2", body={"amount": 5})
    found = await bench.shop.person.get("/palette", params={"in": bench.shop.connection_id, "q": "approve"})
    assert f"{bench.path}/{two}" in found.text


async def test_the_snippet_in_python_proposes_and_asks(bench: ProposingBench) -> None:
    agent = Agent(id=UUID(bench.agent.id), access="propose", tables=None, read_tables=None)
    example = ExampleTable("prices", "id", 1, "amount", "77")
    origin = bench.shop.product.settings.origin
    snippets = make_snippets(origin, UUID(bench.shop.connection_id), agent, example, bench.agent.token)
    code = next(one.code for one in snippets if one.key == "python")
    printed, names = io.StringIO(), dict[str, Any]()
    with redirect_stdout(printed):
        await asyncio.to_thread(exec, code, names)
    names["db"].postgrest.session.close()
    assert "approval_required {'proposalId'" in printed.getvalue()
    assert "'status': 'pending'" in printed.getvalue()
    assert "Change 1 price" in await bench.open()
