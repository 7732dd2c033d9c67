"""The home of a connection: what is going on, the first steps, the list of connections."""

import html
import re
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from psycopg import sql

from basewarden.journal import RefusalLog
from basewarden.journal.activity.service import CountLine
from basewarden.workspace.activity import ActivityRow, group_by_age
from tests.fixtures.app import ProjectDatabase, ServedProduct
from tests.fixtures.bench import Bench, Workshop
from tests.workspace.conftest import Store

TABLE = (
    "CREATE TABLE lamps (id int PRIMARY KEY, name text); INSERT INTO lamps SELECT n, 'x' FROM generate_series(1, 20) n"
)
HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(TABLE)


def home(bench: Bench) -> str:
    return f"/c/{bench.connection_id}"


def list_done(page: str) -> int:
    return page.count('class="task is-done"')


async def flush_refusals(bench: Bench) -> None:
    await bench.product.registry.get(RefusalLog).flush()


async def test_the_first_steps_tick_themselves(bench: Bench) -> None:
    page = (await bench.person.get(home(bench))).text
    assert list_done(page) == 1
    assert "Nothing has been written yet." in page
    assert "data-poll" not in page
    agent = await bench.agent(name="price-bot")
    page = (await bench.person.get(home(bench))).text
    assert list_done(page) == 2
    assert "waiting for the first request" in page
    assert 'data-poll="2000"' in page
    assert agent.token not in page
    await agent.http.get("/lamps?id=eq.1")
    page = (await bench.person.get(home(bench))).text
    assert list_done(page) == 3
    assert "waiting for the first write" in page
    write = await agent.write("PATCH", "/lamps?id=lt.6", {"name": "y"})
    page = (await bench.person.get(home(bench))).text
    assert list_done(page) == 4
    assert f"/sessions/{write.session_id}/undo" in page
    path = f"/api/connections/{bench.connection_id}/sessions/{write.session_id}/undo"
    assert (await bench.person.post(path, json={"mode": "apply"})).status_code == 200
    page = (await bench.person.get(home(bench))).text
    assert "First steps" not in page
    assert "You are set up" in page
    assert "data-poll=" not in page
    assert "Manage agents" in page
    assert f'href="{home(bench)}/agents/{agent.id}"' in page


async def test_the_part_that_changes_is_sent_only_when_it_has_changed(bench: Bench) -> None:
    agent = await bench.agent(name="price-bot")
    page = (await bench.person.get(home(bench))).text
    link = html.unescape(re.findall(r'id="home-poll"[^>]* hx-get="([^"]+)"', page)[0])
    assert (await bench.person.get(link)).status_code == 204
    await agent.http.get("/lamps?id=eq.1")
    changed = await bench.person.get(link)
    assert changed.status_code == 200
    assert changed.text.count('hx-swap-oob="true"') == 6
    assert "<html" not in changed.text
    assert "waiting for the first write" in changed.text


async def test_the_first_steps_can_be_dismissed_by_each_person(bench: Bench) -> None:
    assert "First steps" in (await bench.person.get(home(bench))).text
    answer = await bench.person.post(f"{home(bench)}/first-steps/dismiss")
    assert (answer.status_code, answer.headers["location"]) == (303, home(bench))
    assert "First steps" not in (await bench.person.get(home(bench))).text


async def test_activity_says_who_did_what_and_what_was_blocked(bench: Bench) -> None:
    agent = await bench.agent(name="price-bot", maxRowsPerWrite=10)
    write = await agent.write("PATCH", "/lamps?id=lt.6", {"name": "y"})
    assert (await agent.http.patch("/lamps?id=gt.0", json={"name": "z"})).status_code == 403
    await flush_refusals(bench)
    page = (await bench.person.get(home(bench))).text
    assert "price-bot is working right now." in page
    assert f'href="{home(bench)}/sessions/{write.session_id}"' in page
    assert re.search(r"tried to change lamps</a>", page) is not None
    assert "over the limit of 10 rows per write" in page
    for figure, number in (("Rows changed, 24 h", "5"), ("Blocked, 24 h", "1"), ("Rows undone, 24 h", "0")):
        assert re.search(rf'{figure}</span>\s*<span class="figure">{number}<', page) is not None, figure
    path = f"/api/connections/{bench.connection_id}/sessions/{write.session_id}/undo"
    assert (await bench.person.post(path, json={"mode": "apply"})).status_code == 200
    page = (await bench.person.get(home(bench))).text
    assert re.search(r'Rows undone, 24 h</span>\s*<span class="figure">5<', page) is not None
    table = re.findall(r"<caption>Rows and blocked requests by hour.*?<tbody>(.*?)</tbody>", page, re.DOTALL)
    assert len(table) == 1
    hours = [[int(one) for one in re.findall(r"<td>(\d+)</td>", row)] for row in table[0].split("</tr>")[:-1]]
    assert [sum(column) for column in zip(*hours, strict=True)] == [5, 5, 1]  # an hour may have ended in between
    assert page.count('class="hour-changed"') == page.count('class="hour-undone"') == 1
    assert page.count('class="hour-blocked"') == 1


async def test_rows_are_counted_in_the_hour_of_their_write(bench: Bench) -> None:
    agent = await bench.agent(name="price-bot")
    written = await agent.write("PATCH", "/lamps?id=lt.6", {"name": "y"})
    assert "Rows by hour" in (await bench.person.get(home(bench))).text
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        moved = "UPDATE journal_writes SET at = at - interval '150 minutes' WHERE session_id = %s"
        await own.execute(moved, (written.session_id,))
    page = (await bench.person.get(home(bench))).text
    assert re.search(r'<th scope="row">2 to 3 hours ago</th><td>5</td><td>0</td><td>0</td>', page) is not None


async def test_an_unusually_large_write_and_a_frozen_session_come_first_until_they_are_undone(
    workshop: Workshop,
) -> None:
    bench = await workshop.bench(TABLE.replace("(1, 20)", "(1, 700)"))
    agent = await bench.agent(name="price-bot")
    small = await agent.write("PATCH", "/lamps?id=lt.6", {"name": "y"}, headers={"x-basewarden-session": "small"})
    assert "Unusual" not in (await bench.person.get(home(bench))).text
    large = await agent.write("PATCH", "/lamps?id=gt.6", {"name": "z"}, headers={"x-basewarden-session": "large"})
    page = (await bench.person.get(home(bench))).text
    assert "<b>Unusual:</b> price-bot changed 694 lamps" in page
    assert page.index("Unusual") < page.index("Rows changed, 24 h")
    frozen = await bench.person.post(f"{home(bench)}/sessions/{small.session_id}/freeze")
    assert frozen.status_code == 303
    assert "<b>Frozen:</b> price-bot changed 5 lamps" in (await bench.person.get(home(bench))).text
    path = f"/api/connections/{bench.connection_id}/sessions/{large.session_id}/undo"
    assert (await bench.person.post(path, json={"mode": "apply"})).status_code == 200
    assert "Unusual" not in (await bench.person.get(home(bench))).text


def test_activity_is_grouped_by_age() -> None:
    now = datetime.now(UTC)
    ages = (1, 23, 25, 24 * 6, 24 * 40)
    rows = [ActivityRow(str(age), now - timedelta(hours=age), "x", "y", "/", "", "ended") for age in ages]
    groups = [(group.title, len(group.rows)) for group in group_by_age(rows)]
    assert groups == [("Last 24 hours", 2), ("Last 7 days", 2), ("Earlier", 1)]


def test_a_line_is_drawn_only_from_three_days_on() -> None:
    spike = [0] * 27 + [9]
    assert not CountLine(tuple(spike)).has_course
    spike[0] = spike[5] = 1
    assert CountLine(tuple(spike)).has_course


async def test_hostile_names_are_only_text(workshop: Workshop) -> None:
    bench = await workshop.bench(TABLE, name=HOSTILE[:80])
    agent = await bench.agent(name=HOSTILE[:80], maxRowsPerWrite=2)
    headers = {"x-basewarden-session": HOSTILE}
    assert (await agent.http.patch("/lamps?id=eq.1", json={"name": HOSTILE}, headers=headers)).is_success
    assert (await agent.http.patch("/lamps?id=gt.0", json={"name": HOSTILE}, headers=headers)).status_code == 403
    await flush_refusals(bench)
    for path in (home(bench), "/connections", f"{home(bench)}/settings", f"{home(bench)}/activity"):
        page = (await bench.person.get(path)).text
        assert "<img" not in page
        assert "{{7*7}}" in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page


async def test_what_each_role_sees(
    product: ServedProduct, store: Store, stranger: httpx.AsyncClient, app_database: str
) -> None:
    path = f"/c/{store.connection_id}"
    written = await store.owner.patch(
        f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1", json={"price": 1, "note": None}
    )
    session = written.headers["x-basewarden-session"]
    for role, sees_undo in (("viewer", False), ("editor", True)):
        person = await product.sign_up(f"{role}@example.com")
        await add_member(app_database, store.connection_id, f"{role}@example.com", role)
        page = (await person.get(path)).text
        assert f"/sessions/{session}" in page
        assert (f"/sessions/{session}/undo" in page) is sees_undo, role
        assert "First steps" not in page
        assert "New agent" not in page
        assert (await person.post(f"{path}/first-steps/dismiss")).status_code == 303
    assert "First steps" in (await store.owner.get(path)).text
    for place in ("", "/activity", "/health", "/settings"):
        assert (await stranger.get(path + place)).status_code == 404
    for place in ("/first-steps/dismiss", "/settings/general", "/delete"):
        assert (await stranger.post(path + place, data={"name": "x", "environment": "other"})).status_code == 404
    assert (await store.owner.get(path)).status_code == 200


async def add_member(dsn: str, connection_id: str, email: str, role: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(
            "INSERT INTO connection_members (connection_id, user_id, role)"
            " SELECT %s, id, %s FROM users WHERE email = %s",
            (connection_id, role, email),
        )


async def test_a_failed_check_is_remembered_and_a_good_one_forgets_it(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase, app_database: str
) -> None:
    async def set_login(allowed: str) -> None:
        async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
            await admin.execute(sql.SQL(f"ALTER ROLE {{}} {allowed}").format(sql.Identifier(project.role)))

    path = f"/c/{connection_id}"
    await set_login("NOLOGIN")
    assert "failing" in (await owner.get(f"{path}/health")).text
    listed = (await owner.get("/connections")).text
    assert "failing" in listed
    assert 'class="link-card-problem"' in listed
    assert "Failing since" in (await owner.get(path)).text
    await set_login("LOGIN")
    assert "healthy" in (await owner.get(f"{path}?check=1")).text
    assert "failing" not in (await owner.get("/connections")).text


async def test_connections_are_sorted_by_their_last_write_and_found_by_name(
    owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    made = []
    for name in ("First 100%", "Second", "Third"):
        answer = await owner.post("/api/connections", json={"name": name, "postgresUrl": project.dsn})
        made.append(answer.json()["id"])
    assert list_names(await owner.get("/connections")) == ["Third", "Second", "First 100%"]
    written = await owner.post(f"/api/v/{made[0]}/rest/v1/notes", json={"id": 1, "body": "x"})
    assert written.status_code == 201
    page = await owner.get("/connections")
    assert list_names(page) == ["First 100%", "Third", "Second"]
    assert page.text.count("1 row changed in 24 hours") == 1
    session = re.findall(r"/sessions/[0-9a-f-]{36}", (await owner.get(f"/c/{made[0]}/sessions")).text)[0]
    undone = await owner.post(f"/api/connections/{made[0]}{session}/undo", json={"mode": "apply"})
    assert undone.status_code == 200, undone.text
    assert (await owner.get("/connections")).text.count(
        "1 row changed in 24 hours"
    ) == 1  # an undo is not counted again
    assert "owner@example.com" in page.text or "You" in page.text
    assert list_names(await owner.get("/connections?q=100%25")) == ["First 100%"]
    assert list_names(await owner.get("/connections?q=SEC")) == ["Second"]
    assert "No connection of this name" in (await owner.get("/connections?q=_")).text
    for refused in ("page=0", "q=%00"):
        assert (await owner.get(f"/connections?{refused}")).status_code == 422


def list_names(answer: httpx.Response) -> list[str]:
    return re.findall(r'link-card-head"><a href="[^"]+">([^<]+)</a>', answer.text)
