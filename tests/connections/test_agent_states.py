"""Pausing, freezing and releasing agents: the calls, the pages, and who may."""

import json
import re
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.connections.test_agent_pages import add_member, make, set_role, write
from tests.fixtures.app import ProjectDatabase, ServedProduct, read_refusal

HOSTILE = "<img src=x onerror=alert(1)>\"' {{ 7*7 }}"


def api(own: str) -> str:
    """The agent's address in the API, by its page."""
    return own.replace("/c/", "/api/connections/", 1)


async def read_events(app_database: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute(
            "SELECT action, agent_name, user_name, reason FROM journal_interventions ORDER BY id"
        )
        return await cursor.fetchall()


async def test_every_call_answers_the_state_and_a_second_press_changes_nothing(
    owner: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    own, _ = await make(owner, connection_id)
    steps = [
        ("pause", {"reason": " why not "}, "paused"),
        ("freeze", None, "frozen"),
        ("resume", None, "frozen"),
        ("pause", None, "frozen"),
        ("release", {"reason": "all good"}, "paused"),
        ("resume", None, "active"),
    ]
    for action, body, status in steps:
        answers = [await owner.post(f"{api(own)}/{action}", json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
        assert [answer.json()["status"] for answer in answers] == [status, status], action
        assert answers[0].json() == answers[1].json() == (await owner.get(api(own))).json()
    assert await read_events(app_database) == [
        ("pause", "price-bot", "owner@example.com", "why not"),
        ("freeze", "price-bot", "owner@example.com", None),
        ("resume", "price-bot", "owner@example.com", None),
        ("pause", "price-bot", "owner@example.com", None),
        ("release", "price-bot", "owner@example.com", "all good"),
        ("resume", "price-bot", "owner@example.com", None),
    ]
    activity = (await owner.get("/settings/account/activity")).text
    for words in ("Paused an agent", "Froze an agent", "Released an agent", "Resumed an agent"):
        assert words in activity


async def test_the_kill_switch_of_a_connection(owner: httpx.AsyncClient, connection_id: str, app_database: str) -> None:
    own, token = await make(owner, connection_id)
    path = f"/api/connections/{connection_id}"
    frozen = [await owner.post(f"{path}/freeze", json={"reason": "an incident"}) for _ in range(2)]
    assert frozen[0].json()["agentsFrozenAt"] == frozen[1].json()["agentsFrozenAt"] is not None
    assert read_refusal(await write(owner, token, connection_id, json={"id": 1})) == (423, "connection_frozen")
    assert (await owner.get(api(own))).json()["status"] == "active"
    released = [await owner.delete(f"{path}/freeze") for _ in range(2)]
    assert [answer.json()["agentsFrozenAt"] for answer in released] == [None, None]
    assert (await write(owner, token, connection_id, json={"id": 1})).status_code == 201
    assert await read_events(app_database) == [
        ("freeze", None, "owner@example.com", "an incident"),
        ("release", None, "owner@example.com", None),
    ]


async def test_who_may_stop_agents(
    owner: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    product: ServedProduct,
    connection_id: str,
    app_database: str,
) -> None:
    own, token = await make(owner, connection_id)
    paths = [f"{api(own)}/{action}" for action in ("pause", "freeze", "release", "resume")]
    calls = [("POST", path) for path in paths]
    calls += [(method, f"/api/connections/{connection_id}/freeze") for method in ("POST", "DELETE")]
    calls += [("POST", f"{own}/freeze"), ("POST", f"/c/{connection_id}/freeze")]
    visitor = await product.client()

    async def call(client: httpx.AsyncClient, **options: Any) -> list[int]:
        body = {"reason": "because"}
        given: list[dict[str, Any]] = [
            {"data": body} if path.startswith("/c/") else {"json": body} for _, path in calls
        ]
        answers = [
            await client.request(method, path, **one, **options)
            for (method, path), one in zip(calls, given, strict=True)
        ]
        return [answer.status_code for answer in answers]

    assert set(await call(stranger)) == {404}
    assert set((await call(visitor))[:6]) == {401}
    assert set((await call(visitor, headers={"authorization": f"Bearer {token}"}))[:6]) == {401}
    await add_member(app_database, connection_id, "viewer")
    assert set(await call(stranger)) == {403}
    assert await read_events(app_database) == []
    await set_role(app_database, "editor")
    assert await call(stranger) == [200] * 6 + [303] * 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": ""}, 422),
        ({"reason": "x" * 201}, 422),
        ({"reason": "two\nlines"}, 422),
        ({"reason": "a\u0000b"}, 422),
        ({"reason": "\ud800"}, 422),
        ({"reason": 7}, 422),
        ({"why": "because"}, 422),
        ([], 422),
        (None, 422),
    ],
)
async def test_a_release_needs_a_reason_of_one_line(
    owner: httpx.AsyncClient, connection_id: str, body: Any, status: int
) -> None:
    own, _ = await make(owner, connection_id)
    await owner.post(f"{api(own)}/freeze")
    content = None if body is None else json.dumps(body)
    headers = {"content-type": "application/json"}
    answer = await owner.post(f"{api(own)}/release", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, "validation_failed")
    assert (await owner.get(api(own))).json()["status"] == "frozen"


async def test_an_agent_of_another_connection_or_a_revoked_one_is_not_there(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    own, _ = await make(owner, connection_id)
    second = (await owner.post("/api/connections", json={"name": "Second", "postgresUrl": project.dsn})).json()["id"]
    agent = own.rpartition("/")[2]
    odd = [f"{second}/agents/{agent}", f"{connection_id}/agents/x", f"{connection_id}/agents/{UUID(int=1)}"]
    for path in odd:
        for action in ("pause", "resume", "freeze", "release"):
            answer = await owner.post(f"/api/connections/{path}/{action}", json={"reason": "because"})
            assert answer.status_code == 404, path
            assert (await owner.get(f"/c/{path}/{action}")).status_code == 404
        assert (await owner.get(f"/api/connections/{path}")).status_code == 404
    assert (await owner.get(f"{own}/nothing")).status_code == 404
    assert (await owner.delete(api(own))).status_code == 204
    assert (await owner.post(f"{api(own)}/freeze")).status_code == 404
    assert (await owner.get(f"{own}/freeze")).status_code == 404
    assert (await owner.get(api(own))).json()["status"] == "revoked"


async def test_agents_are_listed_by_their_status(
    owner: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    made = {name: await make(owner, connection_id, name=name) for name in ("a", "p", "f", "e", "r")}
    await owner.post(f"{api(made['p'][0])}/pause")
    await owner.post(f"{api(made['f'][0])}/pause")
    await owner.post(f"{api(made['f'][0])}/freeze")
    await owner.delete(api(made["r"][0]))
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE agents SET expires_at = now() - interval '1 day' WHERE name = 'e'")
    path = f"/api/connections/{connection_id}/agents"
    for status, name in {"active": "a", "paused": "p", "frozen": "f", "expired": "e", "revoked": "r"}.items():
        (found,) = (await owner.get(f"{path}?status={status}")).json()["agents"]
        assert (found["name"], found["status"]) == (name, status)
        page = (await owner.get(f"/c/{connection_id}/agents?state={status}")).text
        assert status == "active" or f">{name}</a>" in page
    assert (await owner.get(f"{path}?status=odd")).status_code == 422


async def test_the_pages_ask_first_and_show_who_did_it_and_why(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    own, token = await make(owner, connection_id, name=HOSTILE)
    home = f"/c/{connection_id}"
    asked = unescape((await owner.get(f"{own}/freeze")).text)
    assert "Freeze “<img" in asked
    assert "A write that was not committed is rolled back." in asked
    assert f'action="{own}/freeze"' in (await owner.get(own)).text
    done = await owner.post(f"{own}/freeze", data={"reason": HOSTILE})
    assert done.headers["location"] == f"{own}?done=freeze"
    assert read_refusal(await write(owner, token, connection_id, json={"id": 1})) == (423, "agent_frozen")
    await add_member(app_database, connection_id, "viewer")
    for client, who in ((owner, "You"), (stranger, "owner@example.com")):
        page = (await client.get(own)).text
        assert "This agent is frozen" in page
        assert f"{who} froze it <time" in page
        assert "<img" not in page
        assert "</span>frozen</span>" in (await client.get(f"{home}/agents")).text
        shown = (await client.get(home)).text
        assert "</span>frozen</span>" in shown
        assert "<b>{}</b> froze &lt;img".format("You" if client is owner else "owner@example.com") in shown
        assert ", 1 frozen</span>" in shown
    assert f'href="{own}/release"' not in (await stranger.get(own)).text
    refused = await owner.post(f"{own}/release", data={"reason": ""})
    assert (refused.status_code, "Field required" in refused.text) == (422, True)
    assert (await owner.get(f"{own}/freeze")).headers["location"] == own
    assert (await owner.post(f"{own}/release", data={"reason": "fine"})).headers["location"] == f"{own}?done=release"
    assert (await owner.post(f"{own}/release", data={"reason": "again"})).headers["location"] == own
    page = (await owner.get(own)).text
    assert "This agent is frozen" not in page
    assert re.search(r"<b>You</b> released .*?: fine", page, re.DOTALL)


async def test_the_kill_switch_is_in_sight_while_it_is_on(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    await make(owner, connection_id)
    home = f"/c/{connection_id}"
    for page in (home, f"{home}/agents"):
        assert f'href="{home}/freeze"' in (await owner.get(page)).text
    assert "Freeze all agents?" in (await owner.get(f"{home}/freeze")).text
    done = await owner.post(f"{home}/freeze", data={"reason": "an <b>incident"})
    assert done.headers["location"] == f"{home}/agents?done=all-freeze"
    await add_member(app_database, connection_id, "viewer")
    for page in (home, f"{home}/agents", f"{home}/sessions", f"{home}/data"):
        shown = (await owner.get(page)).text
        assert "All agents are frozen.</b> You froze them" in shown, page
        assert "an &lt;b&gt;incident" in shown
        assert f'href="{home}/freeze">Release…</a>' in shown
        other = (await stranger.get(page)).text
        assert "All agents are frozen.</b> owner@example.com froze them" in other
        assert "Release…" not in other
    assert "Release all agents?" in (await owner.get(f"{home}/freeze")).text
    assert (await owner.post(f"{home}/freeze")).headers["location"] == f"{home}/agents?done=all-freeze"
    assert (await owner.post(f"{home}/release", data={"reason": " "})).status_code == 422
    assert (await owner.post(f"{home}/release", data={"reason": "over"})).status_code == 303
    assert "All agents are frozen.</b>" not in (await owner.get(home)).text


async def test_where_all_agents_are_frozen_the_list_says_so_of_each(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    own, _ = await make(owner, connection_id)
    await make(owner, connection_id, name="other")
    path = f"/c/{connection_id}/agents"
    assert (await owner.post(f"/c/{connection_id}/freeze", data={})).status_code == 303
    page = (await owner.get(path)).text
    stops = ("/pause", "/freeze", "/resume")
    assert not any(f'href="{own}{stop}"' in page for stop in stops)
    for shown in ((await owner.get(own)).text, (await owner.get(f"/c/{connection_id}")).text):
        assert ">frozen<" in shown
        assert not any(f'{own}{stop}"' in shown for stop in stops)
    assert (await owner.get(f"{path}?done=all-freeze")).text.count("All agents are frozen") == 1
    assert page.count(">frozen<") == len(re.findall(r'<th scope="row">', page)) == 2
    assert "never used<" not in page
    page = (await owner.get(f"{path}?state=frozen")).text
    assert 'Frozen <span class="tab-count">2</span>' in page
    assert len(re.findall(r'<th scope="row">', page)) == 2
    assert "Never used" not in page
    assert ">frozen<" in (await owner.get(own)).text
    assert (await owner.post(f"/c/{connection_id}/release", data={"reason": "over"})).status_code == 303
    assert ">frozen<" not in (await owner.get(path)).text
