"""What Ctrl/Cmd-K finds and offers, the same as pages without script, and the guide."""

import html
import re
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import text

from basewarden.db import Database
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem, add_rows, match_groups
from tests.fixtures.app import ProjectDatabase, ServedProduct
from tests.workspace.conftest import Store

_GROUP = re.compile(r'role="group" aria-label="([^"]*)"')
_OPTION = re.compile(r'<a class="palette-item"[^>]*href="([^"]*)" data-method="(\w+)"[^>]*>.*?palette-label">([^<]*)<')


@dataclass(frozen=True)
class Option:
    label: str
    href: str
    method: str


async def find_groups(client: httpx.AsyncClient, text: str, within: str = "") -> dict[str, list[Option]]:
    """Both answers of one search, as the script shows them."""
    found: dict[str, list[Option]] = {}
    for path in ("/palette", "/palette/rows"):
        answer = await client.get(path, params={"q": text, "in": within})
        assert answer.status_code == 200
        for title, part in zip(_GROUP.findall(answer.text), _GROUP.split(answer.text)[2::2], strict=True):
            options = [Option(html.unescape(label), href, method) for href, method, label in _OPTION.findall(part)]
            found.setdefault(title, []).extend(options)
    return found


async def find(client: httpx.AsyncClient, text: str, within: str = "") -> list[tuple[str, str]]:
    groups = await find_groups(client, text, within)
    return [(option.label, option.href) for options in groups.values() for option in options]


async def test_connections_from_anywhere(store: Store) -> None:
    assert ("Store", f"/c/{store.connection_id}") in await find(store.owner, "sto")
    assert ("lamps", store.table("lamps")) not in await find(store.owner, "lamps")


async def test_everything_of_the_current_connection(store: Store) -> None:
    write = {"x-basewarden-session": "spring prices"}
    home, address = f"/c/{store.connection_id}", f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
    assert (await store.owner.patch(address, json={"price": 1}, headers=write)).status_code == 204
    wanted = {"name": "price robot", "access": "read"}
    assert (await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)).is_success
    here = store.connection_id
    assert ("Agents", f"{home}/agents") in await find(store.owner, "agen", here)
    assert ("lamps", store.table("lamps")) in await find(store.owner, "lamps", here)
    assert ("Reading lamp", store.row("lamps", "1")) in await find(store.owner, "reading", here)
    assert ("Desk lamp", store.row("lamps", "2")) in await find(store.owner, "Desk", here)
    assert any(label.startswith("spring prices") for label, _ in await find(store.owner, "spring", here))
    assert (await find_groups(store.owner, "robot price", here))["Agents"][0].label == "price robot"
    assert ("Two-factor authentication", "/settings/account/2fa") in await find(store.owner, "totp", here)


async def test_rows_are_found_by_their_key_and_agents_have_commands(store: Store) -> None:
    here = store.connection_id
    assert ("Desk lamp", store.row("lamps", "2")) in await find(store.owner, "lamps 2", here)
    assert await find_groups(store.owner, "lamps two", here) == {}
    wanted = {"name": "robot", "access": "write"}
    made = (await store.owner.post(f"/api/connections/{here}/agents", json=wanted)).json()
    commands = dict(await find(store.owner, "stop robot", here))
    assert commands["Freeze robot"] == f"/c/{here}/agents/{made['id']}/freeze"
    assert commands["Pause robot"] == f"/c/{here}/agents/{made['id']}/pause"
    edited = dict(await find(store.owner, "edit robot", here))
    assert edited["Edit robot…"] == f"/c/{here}/agents/{made['id']}/edit"
    assert commands["Revoke robot…"] == f"/c/{here}/agents/{made['id']}/revoke"
    switch = dict(await find(store.owner, "kill switch", here))
    assert switch["Freeze or release all agents…"] == f"/c/{here}/freeze"


async def test_before_anything_is_typed_used_tables_and_commands_come_first(store: Store) -> None:
    here = store.connection_id
    address = f"/api/v/{here}/rest/v1/stickers?id=eq.1"
    assert (await store.owner.patch(address, json={"lamp_id": 2})).status_code == 204
    groups = await find_groups(store.owner, "", here)
    assert list(groups)[:3] == ["Tables", "Commands", "Pages"]
    assert len(groups["Tables"]) <= 3
    assert groups["Tables"][0].label == "stickers"
    commands = [option.label for option in groups["Commands"]]
    assert commands[0] == "Undo the last session"
    assert commands.index("New agent") < commands.index("Freeze or release all agents…")


async def test_a_stranger_finds_nothing_there(store: Store, stranger: httpx.AsyncClient) -> None:
    for typed in ("lamp", "Store", "undo", "new agent", ""):
        assert not [href for _, href in await find(stranger, typed, store.connection_id) if "/c/" in href]
    page = await stranger.get("/search", params={"q": "lamp", "in": store.connection_id})
    assert page.status_code == 200
    assert "/c/" not in page.text


async def test_the_last_session_is_undone_from_anywhere_in_the_connection(store: Store) -> None:
    address = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
    answer = await store.owner.patch(address, json={"price": 1})
    session = answer.headers["x-basewarden-session"]
    path = f"/c/{store.connection_id}/sessions/{session}/undo"
    found = await find_groups(store.owner, "", store.connection_id)
    assert ("Undo the last session", path) in [(one.label, one.href) for one in found["Commands"]]
    assert [one.label for one in found["Account"]] == ["Your account", "Sign out"]
    listed = (await find_groups(store.owner, "undo", store.connection_id))["Sessions"]
    assert [one.href for one in listed] == [path.removesuffix("/undo")]
    assert (await store.owner.get(path)).status_code == 200
    undo = f"/api/connections/{store.connection_id}/sessions/{session}/undo"
    assert (await store.owner.post(undo, json={"mode": "apply", "onConflict": "refuse"})).is_success
    assert "Undo the last session" not in dict(await find(store.owner, "undo", store.connection_id))


async def test_an_agent_that_writes_is_frozen(store: Store) -> None:
    wanted = {"name": "robot", "access": "write"}
    made = await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)
    headers = {"apikey": made.json()["token"]}
    async with httpx.AsyncClient(base_url=store.owner.base_url, headers=headers) as agent:
        address = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
        assert (await agent.patch(address, json={"price": 1})).is_success
        (command,) = [
            option
            for option in (await find_groups(store.owner, "pause robot", store.connection_id))["Commands"]
            if option.label.startswith("Freeze")
        ]
        assert command.method == "post"
        assert (await store.owner.post(command.href)).status_code == 303
        assert (await agent.patch(address, json={"price": 2})).json()["code"] == "agent_frozen"
        found = dict(await find(store.owner, "release robot", store.connection_id))
        assert found["Release robot…"] == command.href.replace("/freeze", "/release")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", ()),
        ("editor", ("Undo", "Freeze robot", "Freeze or release", "New alert", "Scan with the sentry")),
        ("owner", ("Undo", "Freeze robot", "Freeze or release", "New agent", "New alert", "Scan with the sentry")),
    ],
)
async def test_a_role_sees_only_its_own_commands(
    store: Store, product: ServedProduct, stranger: httpx.AsyncClient, role: str, may: tuple[str, ...]
) -> None:
    wanted = {"name": "robot", "access": "write"}
    made = await store.owner.post(f"/api/connections/{store.connection_id}/agents", json=wanted)
    address = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.1"
    async with httpx.AsyncClient(base_url=store.owner.base_url, headers={"apikey": made.json()["token"]}) as agent:
        assert (await agent.patch(address, json={"price": 1})).is_success
    await join(product, store, "stranger@example.com", role)
    commands = (await find_groups(stranger, "", store.connection_id))["Commands"]
    of_connection = [option.label for option in commands if "/c/" in option.href]
    assert [label for label in of_connection if not label.startswith(may or ("nothing",))] == []
    assert len(of_connection) == len(may)
    assert ("Settings" in dict(await find(stranger, "sett", store.connection_id))) is (role == "owner")


async def join(product: ServedProduct, store: Store, email: str, role: str) -> None:
    async with product.registry.get(Database).unit_of_work() as unit:
        await unit.execute(
            text(
                "INSERT INTO connection_members (connection_id, user_id, role)"
                " SELECT CAST(:connection AS uuid), id, :role FROM users WHERE email = :email"
            ),
            {"connection": store.connection_id, "role": role, "email": email},
        )


async def test_every_place_exists(store: Store) -> None:
    """A link that leads nowhere is worse than none."""
    places: set[str] = set()
    for typed in ("", "account", "help", "security", "plan", "data"):
        groups = await find_groups(store.owner, typed, store.connection_id)
        places |= {option.href for options in groups.values() for option in options if option.method == "get"}
    assert len(places) > 15
    for place in places:
        assert (await store.owner.get(place, follow_redirects=True)).status_code == 200, place


async def test_search_is_the_same_without_script(store: Store) -> None:
    page = await store.owner.get("/search", params={"q": "reading", "in": store.connection_id})
    assert f'href="{store.row("lamps", "1")}"' in page.text
    page = await store.owner.get("/search", params={"in": store.connection_id})
    assert '<form method="post" action="/signout">' in page.text
    nothing = await store.owner.get("/search", params={"q": "<b>zebra", "in": store.connection_id})
    assert "No results" in nothing.text
    assert 'value="&lt;b&gt;zebra"' in nothing.text


async def test_hostile_names_are_only_text(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    made = await owner.post("/api/connections", json={"name": hostile, "postgresUrl": project.dsn})
    path = f"/api/connections/{made.json()['id']}/agents"
    assert (await owner.post(path, json={"name": hostile, "access": "read"})).is_success
    for place in ("/palette", "/search"):
        page = await owner.get(place, params={"q": "img", "in": made.json()["id"]})
        assert "&gt;&lt;img" in page.text
        assert "<img" not in page.text


async def test_shortcuts_are_a_page_for_everyone(client: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    for person, frame in ((client, "plain"), (owner, "shell")):
        page = await person.get("/shortcuts")
        assert page.status_code == 200
        assert f'class="{frame}"' in page.text
        assert "<kbd>g</kbd> <kbd>s</kbd>" in page.text


def test_the_best_match_comes_first() -> None:
    def item(label: str, keywords: str = "") -> PaletteItem:
        return PaletteItem(label, "/", "list", keywords=keywords)

    groups = [
        PaletteGroup("Sessions", [item("changed 5 prices"), item("other")]),
        PaletteGroup("Tables", [item("product_prices"), item("prices")]),
        PaletteGroup("Account", [item("Billing", "prices plan")]),
    ]
    found = match_groups(groups, "prices")
    assert [group.title for group in found] == ["Tables", "Sessions", "Account"]
    assert [one.label for one in found[0].items] == ["prices", "product_prices"]
    assert match_groups(groups, "prices zebra") == []
    assert match_groups(groups, "lan") == []  # inside a keyword, which is not shown
    assert len(match_groups(groups, "")) == 3


def test_commands_come_last_and_are_found_by_how_their_words_begin() -> None:
    commands = PaletteGroup(
        "Commands",
        [
            PaletteItem("Let the agent break something", "/demo/agent", "alert", keywords="demo damage"),
            PaletteItem("New agent", "/new", "key", keywords="create token"),
        ],
        are_commands=True,
    )
    places = PaletteGroup("Sessions", [PaletteItem("changed a new agent's price", "/", "clock")])
    assert match_groups([commands], "eth") == []
    assert [one.label for one in match_groups([commands], "dam")[0].items] == ["Let the agent break something"]
    assert [group.title for group in match_groups([commands, places], "new agent")] == ["Sessions", "Commands"]
    rows = PaletteGroup("Rows", [PaletteItem("New agent fee", "/", "row")])
    found = add_rows(match_groups([commands, places], "new agent"), [rows])
    assert [group.title for group in found] == ["Sessions", "Rows", "Commands"]


async def test_the_guide_is_open_to_all(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/guide")
    assert answer.status_code == 200
    assert "/api/v/&lt;connection&gt;" in answer.text


async def test_rows_that_are_not_listed_are_one_press_away(store: Store) -> None:
    await store.behind.execute(
        "insert into lamps (name, price) select 'Nightlight ' || n, 1 from generate_series(1, 6) n"
    )
    here = store.connection_id
    rows = (await find_groups(store.owner, "nightlight", here))["Rows"]
    assert [one.label for one in rows[:5]] == [f"Nightlight {number}" for number in range(1, 6)]
    assert rows[5].label == "All rows of lamps with “nightlight”"
    grid = (await store.owner.get(html.unescape(rows[5].href))).text
    assert [f"Nightlight {number}" in grid for number in range(1, 8)] == [True] * 6 + [False]
    few = (await find_groups(store.owner, "nightlight 6", here))["Rows"]
    assert {one.label for one in few} == {"Nightlight 6"}
