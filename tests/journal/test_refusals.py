"""What policy refused to agents is shown to the connection's members: counted, bounded, and without any value."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from basewarden.connections import Role
from basewarden.gateway.refusals import POLICY_CODES
from basewarden.journal import Refusal, RefusalLog
from basewarden.journal.refusals import REFUSAL_TITLES, REFUSAL_WORDS, prune_refusals
from basewarden.journal.refusals.log import MAX_KINDS_AN_HOUR, MAX_QUEUED_KINDS
from basewarden.journal.refusals.remedies import find_remedy
from scripts.reference import list_errors
from tests.fixtures.bench import Bench, Workshop, on_both_backends
from tests.fixtures.journal import JournalDatabase

_SHOP = """
    CREATE TABLE prices (id int PRIMARY KEY, amount int); INSERT INTO prices SELECT n, n FROM generate_series(1, 9) n;
    CREATE TABLE salaries (id int PRIMARY KEY);
    CREATE VIEW cheap AS SELECT * FROM prices WHERE amount < 3 LIMIT 1;
"""


async def list_refusals(bench: Bench, query: str = "", who: httpx.AsyncClient | None = None) -> list[dict[str, Any]]:
    await bench.product.registry.get(RefusalLog).flush()
    answer = await (who or bench.person).get(f"/api/connections/{bench.connection_id}/refusals{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["refusals"]
    return found


@on_both_backends
async def test_every_kind_of_refusal_is_kept(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    writer = await bench.agent(name="Writer", tables=["prices"], maxRowsPerWrite=3, maxWritesPerSession=1)
    reader = await bench.agent(name="Reader", access="read")
    await writer.http.delete("/salaries?id=eq.1")
    await writer.http.patch("/prices", json={"amount": 1})
    await writer.http.patch("/prices?id=gt.0&amount=not.eq.777", json={"amount": 888})
    session = (await writer.write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    await writer.http.patch("/prices?id=eq.2", json={"amount": 5})
    await reader.http.post("/prices", json={"id": 100})
    found = await list_refusals(bench)
    listed = [(one["agent"], one["code"], one["method"], one["table"], one["summary"]) for one in reversed(found)]
    assert sorted(listed) == [
        ("Reader", "read_only", "POST", "public.prices", "POST /prices"),
        ("Writer", "filter_required", "PATCH", "public.prices", "PATCH /prices"),
        ("Writer", "row_limit", "PATCH", "public.prices", "PATCH /prices?id=gt.…&amount=not.eq.…"),
        ("Writer", "session_frozen", "PATCH", "public.prices", "PATCH /prices?id=eq.…"),
        ("Writer", "table_denied", "DELETE", "public.salaries", "DELETE /salaries?id=eq.…"),
    ]
    frozen = next(one for one in found if one["code"] == "session_frozen")
    assert (frozen["sessionId"], frozen["agentId"], frozen["count"]) == (session, writer.id, 1)
    summaries = str([one["summary"] for one in found])
    assert "777" not in summaries
    assert "888" not in summaries
    assert (await bench.journal(session))["refusedCount"] >= 1


async def test_reads_of_denied_tables_count_too_and_mistakes_do_not(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["prices"])
    assert (await agent.http.get("/prices?select=*,salaries(*)")).status_code == 403
    assert (await agent.http.get("/salaries?select=id")).status_code == 403
    assert (await agent.http.get("/prices?select=nothing")).status_code == 400
    assert (await agent.http.post("/prices", json={"id": 1})).status_code == 409
    assert [(one["code"], one["method"]) for one in await list_refusals(bench)] == [("table_denied", "GET")] * 2


async def test_an_argument_of_a_function_is_no_operator(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["prices"])
    assert (await agent.http.get("/rpc/find?name=secret.person&ref=(salary.9)")).status_code == 403
    (found,) = await list_refusals(bench)
    assert found["summary"] == "GET /rpc/find?name=…&ref=…"


async def test_people_are_not_watched(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    answer = await bench.person.patch(f"/api/v/{bench.connection_id}/rest/v1/cheap?id=eq.1", json={"amount": 1})
    assert answer.json()["code"] == "capture_unsupported"
    assert await list_refusals(bench) == []


async def test_repeats_are_counted(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["prices"])
    for number in range(5):
        await agent.http.delete(f"/salaries?id=eq.{number}")
    (first,) = await list_refusals(bench)
    await agent.http.delete("/salaries?id=in.(8,9)")
    (second,) = await list_refusals(bench)
    assert (first["count"], second["count"], second["summary"]) == (5, 6, "DELETE /salaries?id=in.…")
    assert first["firstAt"] == second["firstAt"] <= second["at"]


async def test_filters_and_pages(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    one, two = await bench.agent(tables=["prices"]), await bench.agent(access="read")
    await one.http.delete("/salaries?id=eq.1")
    await one.http.delete("/prices")
    await list_refusals(bench)
    middle = datetime.now(UTC)
    await two.http.delete("/prices?id=eq.1")
    found = await list_refusals(bench)
    assert len(found) == 3
    assert await list_refusals(bench, f"?agent={two.id}") == [each for each in found if each["agentId"] == two.id]
    assert [each["code"] for each in await list_refusals(bench, "?code=filter_required")] == ["filter_required"]
    since = await bench.person.get(
        f"/api/connections/{bench.connection_id}/refusals", params={"since": middle.isoformat()}
    )
    assert [each["code"] for each in since.json()["refusals"]] == ["read_only"]
    paged: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"?limit=1{f'&cursor={cursor}' if cursor else ''}"
        page = (await bench.person.get(f"/api/connections/{bench.connection_id}/refusals{query}")).json()
        paged, cursor = [*paged, *page["refusals"]], page["nextCursor"]
    assert paged == found


@pytest.mark.parametrize(
    "query", ["agent=x", "code=%00", "since=now", "since=2030-01-01T00:00:00", "cursor=abc", "limit=0"]
)
async def test_bad_questions_are_422(workshop: Workshop, query: str) -> None:
    bench = await workshop.bench(_SHOP)
    answer = await bench.person.get(f"/api/connections/{bench.connection_id}/refusals?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_strangers_find_nothing(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    path = f"/api/connections/{bench.connection_id}/refusals"
    stranger = await bench.product.sign_up(f"s{bench.connection_id}@example.com")
    assert (await stranger.get(path)).status_code == 404
    assert (await (await bench.product.client()).get(path)).status_code == 401
    token = {"authorization": f"Bearer {agent.token}"}
    assert (await (await bench.product.client()).get(path, headers=token)).status_code == 401


@pytest.mark.parametrize("name", ["a\x01b", "ü" * 200, "x=" * 100, "%ff%fe", "%00"])
async def test_odd_requests_do_not_sink_the_others(workshop: Workshop, name: str) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    sent = name if name.startswith("%") else httpx.URL("/", params={"": name}).query.decode().lstrip("=")
    refused = await agent.http.post(f"/prices?{sent}=eq.1", json={"id": 1})
    await agent.http.post("/prices", json={"id": 1}, headers={"x-basewarden-session": "other"})
    found = await list_refusals(bench)
    assert len(found) == (2 if refused.json()["code"] == "read_only" else 1)
    assert all(len(one["summary"]) <= 200 for one in found)


def make_refusal(journal_db: JournalDatabase, number: int = 0, **changes: Any) -> Refusal:
    wanted: dict[str, Any] = {
        "agent_id": journal_db.caller().caller_id,
        "agent_name": "Robot",
        "code": "read_only",
        "method": "POST",
    }
    wanted |= {"table": f"public.t{number}", "summary": f"POST /t{number}", **changes}
    return Refusal(connection_id=journal_db.connection_id, **wanted)


async def test_an_agent_that_hammers_fills_a_bounded_number_of_rows(journal_db: JournalDatabase) -> None:
    log = RefusalLog(journal_db.database)
    for _ in range(3):
        for number in range(MAX_QUEUED_KINDS + 500):
            log.add(make_refusal(journal_db, number))
        await log.flush()
    rows = await journal_db.rows("SELECT count(*) AS n, sum(count)::int AS all FROM journal_refusals GROUP BY hour")
    assert sum(row["all"] for row in rows) == 3 * (MAX_QUEUED_KINDS + 500)
    assert all(row["n"] <= MAX_KINDS_AN_HOUR + 1 for row in rows)


async def test_what_could_not_be_stored_is_kept_for_the_next_time(journal_db: JournalDatabase) -> None:
    log = RefusalLog(journal_db.database)
    log.add(make_refusal(journal_db))
    await journal_db.admin.execute("ALTER TABLE journal_refusals RENAME TO elsewhere")
    with pytest.raises(Exception, match="journal_refusals"):
        await log.flush()
    log.add(make_refusal(journal_db))
    await journal_db.admin.execute("ALTER TABLE elsewhere RENAME TO journal_refusals")
    await log.flush()
    assert [row["count"] for row in await journal_db.rows("SELECT count FROM journal_refusals")] == [2]


async def test_stopping_stores_what_is_left(journal_db: JournalDatabase) -> None:
    log = RefusalLog(journal_db.database)
    await log.start()
    log.add(make_refusal(journal_db))
    await log.stop()
    assert len(await journal_db.rows("SELECT id FROM journal_refusals")) == 1


async def test_a_connection_that_is_gone_does_not_sink_the_others(journal_db: JournalDatabase) -> None:
    log = RefusalLog(journal_db.database)
    log.add(Refusal(uuid4(), uuid4(), "Robot", "read_only", "POST", None, "POST /"))
    log.add(make_refusal(journal_db))
    await log.flush()
    assert len(await journal_db.rows("SELECT id FROM journal_refusals")) == 1


async def test_old_refusals_are_pruned(journal_db: JournalDatabase) -> None:
    log = RefusalLog(journal_db.database)
    log.add(make_refusal(journal_db, 1))
    log.add(make_refusal(journal_db, 2))
    await log.flush()
    await journal_db.admin.execute(
        "UPDATE journal_refusals SET at = now() - interval '91 days' WHERE table_name = 'public.t1'"
    )
    assert await prune_refusals(journal_db.database, timedelta(days=90), 1) == 1
    assert [row["table_name"] for row in await journal_db.rows("SELECT table_name FROM journal_refusals")] == [
        "public.t2"
    ]


async def test_a_deleted_connection_takes_its_refusals_along(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    await agent.http.post("/prices", json={"id": 1})
    assert len(await list_refusals(bench)) == 1
    assert (await bench.person.delete(f"/api/connections/{bench.connection_id}")).status_code == 204
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn) as own:
        query = "SELECT count(*) FROM journal_refusals WHERE connection_id = %s"
        row = await (await own.execute(query, (bench.connection_id,))).fetchone()
    assert row == (0,)


def test_every_code_of_policy_is_an_error_of_ours_and_has_words() -> None:
    assert {error.code for error in list_errors()} >= POLICY_CODES
    assert REFUSAL_WORDS.keys() == REFUSAL_TITLES.keys() == POLICY_CODES


async def test_pages_offer_what_lets_a_request_pass(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["prices"], maxRowsPerWrite=3)
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    await agent.http.delete("/prices")
    await agent.http.delete("/prices?id=gt.0")
    assert len(await list_refusals(bench)) == 2
    own = f"/c/{bench.connection_id}/agents/{agent.id}"
    for path in ("refusals", f"sessions/{session}"):
        page = (await bench.person.get(f"/c/{bench.connection_id}/{path}")).text
        assert page.count(f'href="{own}/edit"') == 1, path  # a limit of rows is changed, the need of a filter is not
        assert page.count("<span>Open agent</span>") == 1, path


@pytest.mark.parametrize(
    ("code", "owner", "editor", "viewer"),
    [
        ("row_limit", ("Change limits…", "/edit"), ("Open agent", ""), ("Open agent", "")),
        ("egress_blocked", ("Release agent…", "/release"), ("Release agent…", "/release"), ("Open agent", "")),
        ("agent_paused", ("Resume…", "/resume"), ("Resume…", "/resume"), ("Open agent", "")),
        ("capture_blind", ("Open agent", ""), ("Open agent", ""), ("Open agent", "")),
    ],
)
def test_a_limit_is_not_offered_where_it_would_not_help(
    code: str, owner: tuple[str, str], editor: tuple[str, str], viewer: tuple[str, str]
) -> None:
    roles = (Role.OWNER, Role.EDITOR, Role.VIEWER)
    assert [find_remedy(code, role, {"frozen", "paused", "read"}) for role in roles] == [owner, editor, viewer]
    assert find_remedy(code, Role.OWNER, None) == ("Open agent", "")  # a revoked agent


async def test_a_release_is_offered_while_there_is_something_to_release(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["prices"])
    api = f"/api/connections/{bench.connection_id}/agents/{agent.id}"
    assert (await bench.person.post(f"{api}/freeze")).is_success
    assert (await agent.http.get("/prices")).status_code == 423
    assert len(await list_refusals(bench)) == 1
    own, blocked = f"/c/{bench.connection_id}/agents/{agent.id}", f"/c/{bench.connection_id}/refusals"
    assert f'href="{own}/release"' in (await bench.person.get(blocked)).text
    assert (await bench.person.post(f"{api}/release", json={"reason": "looked at it"})).is_success
    page = (await bench.person.get(blocked)).text
    assert f'href="{own}/release"' not in page
    assert "<span>Open agent</span>" in page


async def test_blocked_requests_are_filtered_by_reason_and_agent_and_all_are_counted(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    one = await bench.agent(name="One", tables=["prices"], maxRowsPerWrite=3)
    two = await bench.agent(name="Two", access="read")
    await one.http.delete("/prices")
    await one.http.delete("/prices?id=gt.0")
    await one.http.get("/salaries")
    await two.http.post("/prices", json={"id": 100})
    assert len(await list_refusals(bench)) == 4
    path = f"/c/{bench.connection_id}/refusals"
    tab = re.compile(r'<a class="tab" href="([^"]+)"[^>]*>([^<]+) <span class="tab-count">(\d+)</span>')

    async def read(query: str = "") -> tuple[dict[str, tuple[str, str]], list[str]]:
        page = (await bench.person.get(path + query)).text
        titles = re.findall(r'<span class="refusal-text"><span>([^<]+)', page)
        return {name: (unescape(href), count) for href, name, count in tab.findall(page)}, [
            title.strip() for title in titles
        ]

    tabs, titles = await read()
    assert {name: count for name, (_, count) in tabs.items()} == {
        "All": "4", "No filter": "1", "Too many rows": "1", "Table not allowed": "1", "Read-only": "1",
    }  # fmt: skip
    assert len(titles) == 4
    assert (await read("?reason=row_limit"))[1] == ["Delete prices"]
    tabs, titles = await read(f"?agent={two.id}")
    assert (set(tabs), titles) == ({"All", "Read-only"}, ["Add to prices"])
    assert tabs["Read-only"][0] == f"{path}?agent={two.id}&reason=read_only"
    page = (await bench.person.get(f"{path}?agent={two.id}&reason=row_limit")).text
    assert "No blocked requests match" in page
