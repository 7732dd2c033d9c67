"""The list of sessions with its filters, and a session's page."""

import re
from html import unescape

import pytest

from basewarden.journal import RefusalLog
from tests.fixtures.bench import Bench, Workshop

_SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text, city text);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE);
    CREATE TABLE prices (id int PRIMARY KEY, amount int, net int GENERATED ALWAYS AS (amount * 2) STORED);
    INSERT INTO customers SELECT n, 'Customer ' || n, 'Bonn' FROM generate_series(1, 30) n;
    INSERT INTO orders SELECT n, n FROM generate_series(1, 20) n;
    INSERT INTO prices SELECT n, n FROM generate_series(1, 261) n
"""


async def read_list(bench: Bench, query: str = "", status: int = 200) -> str:
    answer = await bench.person.get(f"/c/{bench.connection_id}/sessions{query}")
    assert answer.status_code == status, answer.text
    return answer.text


async def read_page(bench: Bench, session: str, rest: str = "") -> str:
    return await read_list(bench, f"/{session}{rest}")


def list_titles(page: str) -> list[str]:
    return re.findall(r'<span class="session-text"><a href="[^"]+">([^<]+)</a>', page)


def list_labels(page: str) -> list[str]:
    return re.findall(r'<span class="session-name">([^<]+)</span>', page)


async def test_the_list_is_sorted_by_the_last_write(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    for label in ("first", "second", "first"):
        await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5}, headers={"x-basewarden-session": label})
    page = await read_list(bench)
    assert list_labels(page) == ["first", "second"]
    assert list_titles(page) == ["Changed 1 price", "No changes"]


async def test_an_expired_session_is_mentioned_nowhere(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5}, headers={"x-basewarden-session": "old"})
    await agent.write("DELETE", "/customers?id=eq.30")
    data = f"/c/{bench.connection_id}/data"
    assert (await bench.person.get(data)).text.count("<time") == 2
    await bench.query("UPDATE journal_sessions SET status = 'expired' WHERE label = 'old'")
    page = await read_list(bench)
    assert list_titles(page) == ["Deleted 1 customer"]
    assert '<option value="customers">' in page
    assert '<option value="prices">' not in page
    assert (await bench.person.get(data)).text.count("<time") == 1


async def test_filters_are_in_the_address_and_stay_in_the_tabs(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    robot, clerk = await bench.agent(name="Robot"), await bench.agent(name="Clerk")
    await robot.write("PATCH", "/prices?id=eq.1", {"amount": 5})
    await clerk.write("DELETE", "/customers?id=eq.30")
    prices, customers = "Changed 1 price", "Deleted 1 customer"
    assert list_titles(await read_list(bench)) == [customers, prices]
    for query, expected in (
        (f"who={robot.id}", [prices]),
        (f"agent={clerk.id}", [customers]),
        ("table=prices", [prices]),
        ("table=public.customers", [customers]),
        ("table=sales.customers", []),
        ("since=2000-01-01&until=9999-01-01", [customers, prices]),
        ("until=2000-01-01", []),
        ("since=2500-01-01", []),
        ("period=today", [customers, prices]),
        ("period=30d&since=2500-01-01", [customers, prices]),
        ("period=custom&until=2000-01-01", []),
        (f"status=active&who={robot.id}&table=prices&since=2000-01-01&until=", [prices]),
    ):
        assert list_titles(await read_list(bench, f"?{query}")) == expected, query
    page = await read_list(bench, f"?who={robot.id}&table=prices")
    assert f'href="/c/{bench.connection_id}/sessions?status=frozen&amp;who={robot.id}&amp;table=prices"' in page
    assert f'<option value="{robot.id}" selected>Robot</option>' in page
    assert '<option value="prices" selected>prices</option>' in page
    assert '<option value="customers">customers</option>' in page  # also those of sessions that are filtered out
    assert f'href="/c/{bench.connection_id}/sessions?who={robot.id}" title="Remove this filter"' in page
    assert 'type="date"' not in page
    custom = await read_list(bench, "?period=custom")
    assert custom.count('type="date"') == 2
    assert "data-unscripted>Apply" not in custom
    assert "No sessions match these filters" in await read_list(bench, "?table=nothing")


@pytest.mark.parametrize(
    "query", ["status=odd", "who=me", "since=yesterday", "until=2000-13-01", "period=year", "cursor=%21", "table=%00"]
)
async def test_invalid_filters_are_422(workshop: Workshop, query: str) -> None:
    await read_list(await workshop.bench(_SHOP), f"?{query}", 422)


async def test_pages_keep_the_filters(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    for number in range(52):
        await agent.http.patch(
            "/prices?id=eq.1", json={"amount": number}, headers={"x-basewarden-session": f"s{number}"}
        )
    first = await read_list(bench, "?table=prices")
    assert len(list_titles(first)) == 50
    (following,) = re.findall(r'href="[^"]*/sessions(\?[^"]*cursor=[^"]*)" rel="next"', first)
    assert "table=prices" in following
    rest = await read_list(bench, following.replace("&amp;", "&"))
    assert list_labels(rest) == ["s1", "s0"]


async def test_each_role_has_its_own_action(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    session = (await (await bench.agent()).write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    path = f"/c/{bench.connection_id}/sessions"
    for role, can_undo in (("viewer", False), ("editor", True)):
        person = await bench.member(role)
        for page in (path, f"{path}/{session}"):
            shown = (await person.get(page)).text
            assert (f'href="{path}/{session}/undo"' in shown) is can_undo
    assert "Review and undo…" in await read_page(bench, session)


async def test_a_write_is_a_sentence_with_its_rows(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(name="Robot")
    session = (await agent.write("PATCH", "/prices?id=gt.0", {"amount": 0})).session_id
    await agent.write("DELETE", "/customers?id=lt.13")
    page = await read_page(bench, session)
    assert "<h1>Changed 261 prices, deleted 12 customers and 12 orders</h1>" in page
    assert '<h3 class="write-title">Changed 261 prices</h3>' in page
    assert '<h3 class="write-title">Deleted 12 customers</h3>' in page
    assert "and by foreign keys 12 orders" in page
    assert "PATCH /prices?id=gt.0" in page
    assert ">1</span>" in page
    assert '>Customer 1 <span class="entry-key">1</span>' in page
    assert "also net</span>" in page
    assert "Show 251 more" in page
    figures = re.findall(r'class="figure-label">([^<]+)</span>\s*<span class="figure">([^<]+)<', page)
    assert figures == [("prices", "~261"), ("customers", "\u221212"), ("by foreign keys", "\u221212")]


async def test_the_rest_of_a_write_begins_after_the_last_row_shown(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/prices?id=gt.0", {"amount": 0})).session_id
    page = await read_page(bench, session)
    shown = re.findall(r'class="entry-row"[^>]*>(\d+)</span>', page)
    (write,) = re.findall(r'id="write-([^"]+)"', page)
    for beyond in ("9" * 30, "-" + "9" * 30):
        await read_page(bench, session, f"?write={write}&after={beyond}")
    while found := re.search(r'href="[^"]*(\?write=[^"]*after=\d+)"(?: rel="next")?>(?:Show \d+ more|Next)', page):
        page = await read_page(bench, session, found[1].replace("&amp;", "&"))
        shown += re.findall(r'class="entry-row"[^>]*>(\d+)</span>', page)
    assert shown == [str(number) for number in range(1, 262)]


async def test_hostile_names_and_values_are_only_text(workshop: Workshop) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'{{7*7}}"
    name = hostile.replace('"', '""')
    bench = await workshop.bench(
        f'CREATE TABLE "{name}" (id text PRIMARY KEY, name text, "a""<b>" text);'
        f"""INSERT INTO "{name}" VALUES ('<i>\u202e', '<script>alert(1)</script>', '<u>')"""
    )
    agent = await bench.agent(name="<b>Robot</b>")
    answer = await agent.http.patch(
        "/" + hostile.replace("?", "%3F"),
        params={"id": "not.is.null"},
        json={"name": "</script><b>new"},
        headers={"x-basewarden-session": "<b>label"},
    )
    assert answer.is_success, answer.text
    for page in (await read_list(bench), await read_page(bench, answer.headers["x-basewarden-session"])):
        assert "<img" not in page
        assert "<b>Robot" not in page
        assert "<b>label" not in page
        assert "<b>new" not in page
        assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]
        assert "&lt;img src=x" in page


@pytest.mark.parametrize("value", ['{"n": ' + "7" * 4500 + "}", "[" * 900 + "]" * 900, "[" * 100 + "]" * 100])
async def test_a_session_is_shown_whatever_it_wrote(workshop: Workshop, value: str) -> None:
    """Python reads no integer of that many digits, and follows no value that is nested so deeply."""
    bench = await workshop.bench(
        "CREATE TABLE facts (id int PRIMARY KEY, fact jsonb); INSERT INTO facts VALUES (1, '{}')"
    )
    agent = await bench.agent()
    written = await agent.http.patch("/facts?id=eq.1", content=f'{{"fact": {value}}}')
    assert written.is_success, written.text
    page = await read_page(bench, written.headers["x-basewarden-session"])
    assert unescape(page).count(value[6:-1] if value[0] == "{" else value) >= 1
    assert "1 unchanged column" in page


async def test_a_blocked_request_says_why_and_leads_to_the_agent(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerWrite=10)
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"amount": 0})).session_id
    assert (await agent.http.delete("/orders?id=gt.0")).status_code == 403
    await bench.product.registry.get(RefusalLog).flush()
    page = await read_page(bench, session)
    assert "Blocked: delete orders" in page
    assert "over the limit of 10 rows per write, with rows by foreign keys; nothing was deleted" in page
    assert f'href="/c/{bench.connection_id}/agents' in page
    assert "1 request blocked" in await read_list(bench)


async def test_an_undone_session_says_who_undid_it(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    session = (await (await bench.agent()).write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    undo = (await bench.person.post(path, json={"mode": "apply"})).json()["undoSessionId"]
    page = await read_page(bench, session)
    assert "This session was undone" in page
    assert page.count('<span class="entry-undone">undone</span>') == 1
    assert f'Undone by <a href="/c/{bench.connection_id}/sessions/{undo}">' in page
    assert f"/sessions/{session}/undo" not in page
    page = await read_page(bench, undo)
    assert "<h1>Undid “Changed 1 price”</h1>" in page
    assert "Review and redo…" in page
    listed = await read_list(bench)
    assert list_titles(listed) == ["Undid “Changed 1 price”", "Changed 1 price"]
    assert list_titles(await read_list(bench, "?status=undone")) == ["Changed 1 price"]


async def test_one_write_is_undone_alone(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    wanted = await agent.write("PATCH", "/prices?id=eq.2", {"amount": 5})
    path = f"/c/{bench.connection_id}/sessions/{session}/undo?write={wanted.changes[0]['writeId']}"
    page = await read_page(bench, session)
    assert page.count("Undo this write") == 2
    assert f'href="{path}"' in page
    preview = (await bench.person.get(path)).text
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', preview)
    await bench.person.post(path, data={"previewToken": token}, follow_redirects=True)
    rows = await bench.rows("SELECT id, amount FROM prices WHERE id < 3 ORDER BY id")
    assert [row["amount"] for row in rows] == [5, 2]
    page = await read_page(bench, session)
    for text in ("1 of 2 rows were undone", "Review and undo…", '<span class="entry-undone">undone</span>'):
        assert page.count(text) == 1
    assert page.count("Undo this write") == 1
    assert "1 of 2 undone" in await read_list(bench)
    viewer = await bench.member("viewer")
    assert "Undo this write" not in (await viewer.get(path.partition("/undo")[0])).text


async def test_an_undone_session_keeps_saying_what_was_kept(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/prices?id=lt.3", {"amount": 500})).session_id
    other = await bench.agent(name="Other")
    await other.write("PATCH", "/prices?id=eq.1", {"amount": 12})
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    undone = await bench.person.post(path, json={"mode": "apply", "onConflict": "skip"})
    assert undone.is_success, undone.text
    page = await read_page(bench, session)
    assert ">kept 12<" in re.sub(r"<span[^>]*aria-hidden[^>]*>[^<]*</span>", "", page)
    assert "now <b" not in page
    await other.write("PATCH", "/prices?id=eq.1", {"amount": 66}, headers={"x-basewarden-session": "later"})
    page = re.sub(r"<span[^>]*aria-hidden[^>]*>[^<]*</span>", "", await read_page(bench, session))
    assert ">kept 12<" in page
    assert 'now <b class="data">66</b>' in page
