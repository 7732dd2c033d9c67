"""The pages of agents, used as a person without script would."""

import asyncio
import re
from datetime import UTC, datetime, time, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from basewarden.connections import Agents
from tests.fixtures.app import ProjectDatabase, ServedProduct
from tests.fixtures.html_forms import find_forms

TOKEN = re.compile(r"bwa_[0-9A-Za-z]{38}")
HOSTILE = "<img src=x onerror=alert(1)>\"' {{ 7*7 }}"
FORM = {"name": "price-bot", "access": "write", "reach": "chosen", "table": ["public.notes"]}


def read_text(page: str) -> str:
    """The page with its code as it is copied, without the colours of its parts."""
    return unescape(re.sub(r'<span class="code-\w+">(.*?)</span>', r"\1", page, flags=re.DOTALL))


async def run_as_admin(project: ProjectDatabase, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        for statement in statements:
            await admin.execute(statement.encode())


async def make(owner: httpx.AsyncClient, connection_id: str, **changes: Any) -> tuple[str, str]:
    """Creates an agent by the API; returns its page and token."""
    body = {"name": "price-bot", "access": "write", **changes}
    answer = await owner.post(f"/api/connections/{connection_id}/agents", json=body)
    assert answer.status_code == 201, answer.text
    return f"/c/{connection_id}/agents/{answer.json()['id']}", answer.json()["token"]


async def list_agents(owner: httpx.AsyncClient, connection_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"]
    return found


async def write(owner: httpx.AsyncClient, token: str, connection_id: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=owner.base_url, headers={"apikey": token}) as agent:
        return await agent.request(
            options.pop("method", "POST"), f"/api/v/{connection_id}/rest/v1/notes{options.pop('query', '')}", **options
        )


async def test_from_the_empty_list_to_a_token_that_is_shown_once(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    await run_as_admin(project, "CREATE SCHEMA sales", "CREATE TABLE sales.orders (id int PRIMARY KEY)")
    path = f"/c/{connection_id}/agents"
    empty = (await owner.get(path)).text
    assert "No agents yet" in empty
    assert f'href="{path}/new"' in empty
    offered = (await owner.get(f"{path}/new")).text
    assert re.search(r'type="checkbox" name="table" value="public.notes">', offered)
    form = {
        **FORM, "tables": "sales.orders", "maxRowsPerWrite": "5", "maxWritesPerSession": "7", "dbRole": "",
        "expiresAt": "2100-01-31", "claims": '{"sub": "7"}',
    }  # fmt: skip
    made = await owner.post(path, data=form)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    found = TOKEN.search(made.text)
    assert found is not None
    assert read_text(made.text).count("createClient(") == read_text(made.text).count("create_client(") == 1
    assert f"/api/v/{connection_id}" in made.text
    assert '.update({"body": "A new value"})\n  .eq("id", 1)' in read_text(made.text)
    (agent,) = await list_agents(owner, connection_id)
    assert agent["tables"] == ["public.notes", "sales.orders"]
    assert agent["claims"] == {"sub": "7"}
    assert agent["expiresAt"].startswith("2100-01-31T23:59:59")
    own = f"{path}/{agent['id']}"
    for page in (path, own, f"{path}/new?like={agent['id']}", f"{own}/first-request?since=0", f"/c/{connection_id}"):
        answer = await owner.get(page)
        assert answer.status_code == 200, page
        assert found[0] not in answer.text, page


async def test_an_agents_own_page_says_what_it_may_do_and_how_to_connect(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    own, _ = await make(owner, connection_id, tables=["notes"], maxRowsPerWrite=5, maxWritesPerSession=7)
    page = read_text((await owner.get(own)).text)
    for text in (
        "What it reads and writes",
        "Reads and writes notes.",
        "A write may change 5 rows at most.",
        "A session may hold 7 writes",
        "An update or delete without a filter is refused.",
        "foreign key would change rows of a table that is not listed",
        "The token has no expiry date.",
        "<the agent's token>",
        "Then look here",
        "never used",
        "Waiting for the first request",
    ):
        assert text in page, text
    assert f'href="/c/{connection_id}/data/public.notes"' in page
    reader, _ = await make(owner, connection_id, access="read")
    page = read_text((await owner.get(reader)).text)
    assert "Reads every table." in page
    assert "It cannot write" in page
    assert ".update(" not in page
    assert "Budget" not in page


async def test_an_agent_that_proposes_says_so_everywhere(owner: httpx.AsyncClient, connection_id: str) -> None:
    path = f"/c/{connection_id}/agents"
    offered = (await owner.get(f"{path}/new?template=support")).text
    assert 'value="propose" checked' in offered
    made = await owner.post(path, data={**FORM, "access": "propose", "maxRowsPerWrite": "5"})
    assert made.status_code == 201, made.text
    (agent,) = await list_agents(owner, connection_id)
    assert (agent["access"], agent["tables"]) == ("propose", ["public.notes"])
    proposals = f"/c/{connection_id}/proposals?agent={agent['id']}"
    for page in (made.text, (await owner.get(f"{path}/{agent['id']}")).text):
        text = read_text(page)
        assert "Reads and proposes changes to notes" in text
        assert f'href="{proposals}"' in page
        assert text.count("403 approval_required") == 3
        assert f"/api/v/{connection_id}/proposals/${{proposalId}}" in text
        assert "A write, which you can undo" not in text
    page = unescape((await owner.get(f"{path}/{agent['id']}")).text)
    assert page.count("until an editor approves") == 1
    assert "Reads and proposes changes to notes" in (await owner.get(path)).text
    summary = await owner.post(f"{path}/summary", data={**FORM, "access": "propose"})
    assert "Its writes change nothing until an editor approves them." in summary.text


async def test_what_an_agent_did_is_on_its_page(owner: httpx.AsyncClient, connection_id: str) -> None:
    own, token = await make(owner, connection_id, maxWritesPerSession=2)
    assert (await write(owner, token, connection_id, json=[{"id": 1}, {"id": 2}])).status_code == 201
    assert (await write(owner, token, connection_id, method="DELETE")).status_code == 400
    page = (await owner.get(own)).text
    for text in ("last used <time", "last write <time", "Added 2 notes", "1 of 2 writes", "Freeze…"):
        assert text in page, text
    assert page.index("last write") < page.index("Added 2 notes") < page.index("What it may do")  # beside it
    assert "Waiting for the first request" not in page
    listed = (await owner.get(own.rpartition("/")[0])).text
    assert ">active<" in re.sub(r"<span[^>]*>[^<]*</span>", "", listed)
    assert "last write <time" in listed
    assert re.search(r'aria-label="Rows written in each of the last 24 hours: (0, ){23}2"', listed)


async def test_a_page_of_another_connections_agent_is_not_there(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    own, _ = await make(owner, connection_id)
    second = (await owner.post("/api/connections", json={"name": "Second", "postgresUrl": project.dsn})).json()["id"]
    agent = own.rpartition("/")[2]
    for path in ("", "/revoke", "/first-request"):
        for odd in (f"/c/{second}/agents/{agent}{path}", f"/c/{connection_id}/agents/x{path}"):
            assert (await owner.get(odd)).status_code == 404, odd
    for action in ("/revoke", "/freeze", "/rotate"):
        assert (await owner.post(f"/c/{second}/agents/{agent}{action}")).status_code == 404
    assert (await owner.get(f"/c/{second}/agents/new?like={agent}")).status_code == 404
    assert len(await list_agents(owner, connection_id)) == 1


async def test_states_filter_the_list_and_a_revoked_agent_keeps_its_page(
    owner: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    path = f"/c/{connection_id}/agents"
    fresh, _ = await make(owner, connection_id, name="fresh-one")
    _, token = await make(owner, connection_id, name="used-one")
    gone, _ = await make(owner, connection_id, name="gone-one")
    await make(owner, connection_id, name="late-one")
    await write(owner, token, connection_id, method="GET")
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE agents SET expires_at = now() - interval '1 day' WHERE name = 'late-one'")
    assert "stops working at once" in (await owner.get(f"{gone}/revoke")).text
    assert (await owner.post(f"{gone}/revoke")).headers["location"] == f"{path}?done=revoked"
    assert (await owner.post(f"{gone}/revoke")).status_code == 404
    names = ("fresh-one", "used-one", "gone-one", "late-one")
    for query, expected in (
        ("", {"fresh-one", "used-one", "late-one"}),
        ("?state=active", {"used-one"}),
        ("?state=never_used", {"fresh-one"}),
        ("?state=expired", {"late-one"}),
        ("?state=revoked", {"gone-one"}),
        ("?state=<b>", {"fresh-one", "used-one", "late-one"}),
    ):
        page = (await owner.get(path + query)).text
        assert {name for name in names if f">{name}</a>" in page} == expected, query
    page = (await owner.get(gone)).text
    assert "This agent was revoked" in page
    assert "Revoke…" not in page
    assert "Connect</h2>" not in page
    assert "fresh-one" in (await owner.get(f"{path}/new?like={fresh.rpartition('/')[2]}")).text
    assert (
        "No agents in this state"
        in (await owner.get(f"/c/{connection_id}/agents?state=expired&before={UUID(int=0)}")).text
    )


async def test_the_first_request_ends_the_wait(
    owner: httpx.AsyncClient, connection_id: str, product: ServedProduct
) -> None:
    own, token = await make(owner, connection_id)
    page = (await owner.get(own)).text
    found = re.search(rf'hx-get="({own}/first-request\?since=\d+)" hx-trigger="every 2s"', page)
    assert found is not None
    assert (await owner.get(found[1])).status_code == 204
    old = await owner.get(f"{own}/first-request?since=1000")
    assert (old.status_code, "Look again" in old.text, "hx-trigger" in old.text) == (200, True, False)
    assert await product.registry.get(Agents).find_by_token(token) is not None
    used = await owner.get(found[1])
    assert (used.status_code, "hx-trigger" in used.text) == (200, False)
    assert "The first request has arrived" in used.text


@pytest.mark.parametrize(
    ("changes", "step", "message"),
    [
        ({"name": " "}, 1, "Name"),
        ({"name": "x" * 81}, 1, "Name"),
        ({"access": "admin"}, 2, "Access"),
        ({"table": [], "reach": "chosen"}, 2, "Choose at least one table"),
        ({"reach": "all"}, 2, "Tables are chosen below"),
        ({"table": ["public.nosuchtable", "public.notes"]}, 2, "The project has no table named: public.nosuchtable."),
        ({"table": ["a\nb"]}, 2, "is not a valid PostgreSQL name"),
        ({"tables": "rpc/nosuch"}, 2, "The project has no function named: public.nosuch."),
        ({"functions": "nosuch"}, 2, "The project has no function named: public.nosuch."),
        ({"functions": "x" * 64}, 2, "is not a valid PostgreSQL name"),
        ({"readTable": ["a\nb"]}, 2, "is not a valid PostgreSQL name"),
        ({"tables": "read:nosuch"}, 2, "The project has no table named: public.nosuch."),
        ({"maxRowsPerWrite": "0"}, 3, "greater than or equal to 1"),
        ({"expiresAt": "2001-01-01"}, 3, "is in the past"),
        ({"expiresAt": "soon"}, 3, "must be a date"),
        ({"expiry": "date"}, 3, "Enter a date."),
        ({"expiry": "never", "expiresAt": "2100-01-31"}, 3, "A date is entered here"),
        ({"expiry": "7"}, 3, "Input should be"),
        ({"claims": "{"}, 3, "must be a JSON object"),
        ({"claims": "[" * 5000}, 3, "must be a JSON object"),
        ({"dbRole": "no_such_role"}, 3, "may not switch"),
        ({"name": "", "claims": "{"}, 1, "must be a JSON object"),
    ],
)
async def test_a_refused_form_keeps_what_was_typed_and_opens_at_the_step_with_the_error(
    owner: httpx.AsyncClient, connection_id: str, changes: dict[str, Any], step: int, message: str
) -> None:
    form = {**FORM, "maxRowsPerWrite": "77", "maxWritesPerSession": "88", "claims": '{"sub": "<kept>"}', **changes}
    answer = await owner.post(f"/c/{connection_id}/agents", data=form)
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert f'data-steps="{step}"' in page
    assert message in page
    for name in ("name", "maxRowsPerWrite", "maxWritesPerSession"):
        assert f'value="{form[name]}"' in page
    assert str(form["claims"]) in page
    if "public.notes" in form["table"]:
        assert 'value="public.notes" checked' in page
    assert await list_agents(owner, connection_id) == []


async def test_without_a_choice_a_form_allows_what_it_names_and_else_everything(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    path = f"/c/{connection_id}/agents"
    assert (await owner.post(path, data={"name": "some", "access": "read", "tables": "notes"})).status_code == 201
    assert (await owner.post(path, data={"name": "all", "access": "read", "reach": "all"})).status_code == 201
    assert [agent["tables"] for agent in await list_agents(owner, connection_id)] == [None, ["public.notes"]]


@pytest.mark.parametrize(
    ("form", "tables", "functions"),
    [
        ({"readTable": ["", "public.notes"]}, {"public.notes": "read"}, []),
        ({"readTable": [""]}, ["public.notes"], []),
        ({"readTable": ["public.notes"], "access": "read"}, ["public.notes"], []),
        ({"table": [], "tables": "read:notes"}, {"public.notes": "read"}, []),
        ({"readTable": ["public.other"]}, ["public.notes"], []),
        ({"functions": "f"}, ["public.notes"], ["public.f"]),
        ({"reach": "all", "table": [], "functions": "f"}, None, ["public.f"]),
        ({"table": [], "functions": "f"}, [], ["public.f"]),
    ],
)
async def test_the_form_gives_each_table_an_access_and_copies_it(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase,
    form: dict[str, Any], tables: object, functions: list[str],
) -> None:  # fmt: skip
    await run_as_admin(project, "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS ''")
    path = f"/c/{connection_id}/agents"
    made = await owner.post(path, data={**FORM, **form})
    assert made.status_code == 201, made.text
    (agent,) = await list_agents(owner, connection_id)
    assert (agent["tables"], agent["functions"]) == (tables, functions)
    assert (await owner.get(f"{path}/{agent['id']}")).status_code == 200
    copy = await owner.get(f"{path}/new?like={agent['id']}")
    (again,) = find_forms(copy, re.compile(re.escape(path) + r"\Z"))
    assert (await again.submit(owner, copy)).status_code == 201
    newest = (await list_agents(owner, connection_id))[0]
    assert newest["id"] != agent["id"]
    assert (newest["tables"], newest["functions"]) == (agent["tables"], agent["functions"])


async def test_columns_are_hidden_by_lines_and_by_choices_and_copied(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str
) -> None:
    path = f"/c/{connection_id}/agents"
    part = await owner.get(f"{path}/columns", params={"columnsOf": "public.notes"})
    assert '<option value="mask public.notes.body">Mask</option>' in part.text
    for unknown in ("public.nosuch", "x", "'"):
        assert (await owner.get(f"{path}/columns", params={"columnsOf": unknown})).status_code == 204
    assert (await owner.get(f"{path}/columns", params={"columnsOf": "x" * 201})).status_code == 422
    assert (await stranger.get(f"{path}/columns", params={"columnsOf": "public.notes"})).status_code == 404
    rules = {"columns": "mask notes.body", "columnRule": ["", "hide public.notes.id"]}
    made = await owner.post(path, data={**FORM, **rules})
    assert made.status_code == 201, made.text
    (agent,) = await list_agents(owner, connection_id)
    assert agent["columns"] == {"public.notes": {"body": "mask", "id": "deny"}}
    page = unescape((await owner.get(f"{path}/{agent['id']}")).text)
    assert "It sees dots in place of notes.body." in page
    assert "It does not see notes.id." in page
    copied = unescape((await owner.get(f"{path}/new?like={agent['id']}")).text)
    for line in ("mask public.notes.body\n", "hide public.notes.id\n"):
        assert line in copied.replace("</textarea>", "\n")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"columns": "body"}, "must be lines such as"),
        ({"columns": "blur notes.body"}, "must be lines such as"),
        ({"columns": "mask notes.nosuch"}, "The project has no column named: public.notes.nosuch."),
        ({"columnRule": ["hide public.notes.body"], "columns": "mask notes.body"}, "masks and hides the same column"),
    ],
)
async def test_a_refused_rule_about_columns_is_shown_again(
    owner: httpx.AsyncClient, connection_id: str, rules: dict[str, Any], message: str
) -> None:
    answer = await owner.post(f"/c/{connection_id}/agents", data={**FORM, **rules})
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert message in page
    assert 'data-steps="2"' in page
    assert str(rules.get("columns", "")) in page
    assert await list_agents(owner, connection_id) == []


async def test_a_token_expires_at_the_end_of_the_chosen_day(owner: httpx.AsyncClient, connection_id: str) -> None:
    path = f"/c/{connection_id}/agents"
    assert 'name="expiry" value="90" checked' in (await owner.get(f"{path}/new")).text
    first = datetime.now(UTC).date()
    for expiry, day in (("30", ""), ("90", ""), ("date", "2100-01-31"), ("never", "")):
        form = {"name": f"for-{expiry}", "access": "read", "expiry": expiry, "expiresAt": day}
        assert (await owner.post(path, data=form)).status_code == 201
    last = datetime.now(UTC).date()
    expiries = {agent["name"]: agent["expiresAt"] for agent in await list_agents(owner, connection_id)}
    assert expiries["for-never"] is None
    assert expiries["for-date"].startswith("2100-01-31T23:59:59")
    for days in (30, 90):
        moment = datetime.fromisoformat(expiries[f"for-{days}"])
        assert first + timedelta(days=days) <= moment.date() <= last + timedelta(days=days)
        assert moment.time() == time.max


def read_form_key(page: str) -> str:
    found = re.search(r'name="formKey" value="([^"]+)"', page)
    assert found is not None
    return unescape(found[1])


async def test_a_form_that_is_sent_again_creates_no_second_agent(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    path = f"/c/{connection_id}/agents"
    key = read_form_key((await owner.get(f"{path}/new")).text)
    answers = await asyncio.gather(*(owner.post(path, data={**FORM, "formKey": key}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 303, 303, 303]
    (agent,) = await list_agents(owner, connection_id)
    again = await owner.post(path, data={**FORM, "name": "another", "formKey": key})
    assert again.headers["location"] == f"{path}/{agent['id']}?done=again"
    shown = (await owner.get(again.headers["location"])).text
    assert "nothing was done the second time" in shown
    assert TOKEN.search(shown) is None
    await owner.post(f"{path}/{agent['id']}/revoke")
    assert (await owner.post(path, data={**FORM, "formKey": key})).status_code == 303
    assert await list_agents(owner, connection_id) == []

    other = await owner.post("/api/connections", json={"name": "Other", "postgresUrl": project.dsn})
    elsewhere = f"/c/{other.json()['id']}/agents"
    theirs = await stranger.post("/api/connections", json={"name": "Theirs", "postgresUrl": project.dsn})
    foreign = f"/c/{theirs.json()['id']}/agents"
    assert (await stranger.post(path, data={**FORM, "formKey": key})).status_code == 404
    for client, where in ((owner, elsewhere), (stranger, foreign)):
        made = await client.post(where, data={**FORM, "formKey": key})
        assert made.status_code == 201
        (one,) = await list_agents(client, where.split("/")[2])
        assert one["id"] != agent["id"]
    for odd in ("x", "=" * 400, key[:-8] + "AAAAAAAA", str(UUID(int=1))):
        assert (await owner.post(path, data={**FORM, "formKey": odd})).status_code == 201


async def test_deleting_a_connection_names_what_is_lost_with_it(owner: httpx.AsyncClient, connection_id: str) -> None:
    empty = (await owner.get(f"/c/{connection_id}/delete")).text
    assert "No agent uses them." in empty
    assert "It has no sessions." in empty
    _, token = await make(owner, connection_id)
    await make(owner, connection_id, name="second")
    assert (await write(owner, token, connection_id, json={"id": 1})).status_code == 201
    for page in ("delete", "settings"):
        shown = (await owner.get(f"/c/{connection_id}/{page}")).text
        assert "2 agents stop working at once" in shown
        assert "1 session can no longer be viewed or undone" in shown


async def test_the_list_offers_what_one_may_do_with_each_agent(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    own, _ = await make(owner, connection_id)
    reader, _ = await make(owner, connection_id, name="reader", access="read")
    path = own.rpartition("/")[0]

    async def list_actions(client: httpx.AsyncClient) -> set[str]:
        page = (await client.get(path)).text
        wanted = re.compile(rf'(?:action|href)="({path}/(?:new\?like=)?[0-9a-f-]{{36}}(?:/[a-z]+)?)"')
        return {found for found in wanted.findall(page) if found not in (own, reader)}

    copy = {f"{path}/new?like={one.rpartition('/')[2]}" for one in (own, reader)}
    stops = {f"{one}/{action}" for one in (own, reader) for action in ("pause", "freeze")}
    changes = {f"{one}/{action}" for one in (own, reader) for action in ("edit", "revoke")}
    assert await list_actions(owner) == {*stops, *changes, *copy}
    await add_member(app_database, connection_id, "viewer")
    assert await list_actions(stranger) == set()
    await set_role(app_database, "editor")
    assert await list_actions(stranger) == stops


async def test_templates_and_other_agents_only_fill_the_form(owner: httpx.AsyncClient, connection_id: str) -> None:
    path = f"/c/{connection_id}/agents"
    page = (await owner.get(f"{path}/new?template=support")).text
    assert 'value="support-desk"' in page
    assert 'value="20"' in page
    assert 'name="reach" value="chosen" checked' in page
    own, _ = await make(owner, connection_id, name=HOSTILE, tables=["notes"], maxRowsPerWrite=33, claims={"a": "</i>"})
    copied = (await owner.get(f"{path}/new?like={own.rpartition('/')[2]}")).text
    assert 'value="33"' in copied
    assert 'value="public.notes" checked' in copied
    assert "</i>" not in copied
    for odd in ("?template=nothing", "?template=<b>"):
        assert 'value="1000"' in (await owner.get(f"{path}/new{odd}")).text
    assert len(await list_agents(owner, connection_id)) == 1


async def test_the_summary_says_in_words_what_would_be_created(owner: httpx.AsyncClient, connection_id: str) -> None:
    path = f"/c/{connection_id}/agents/summary"
    summary = (await owner.post(path, data={**FORM, "name": HOSTILE, "maxRowsPerWrite": "5"})).text
    assert "Reads and writes notes." in summary
    assert "A write may change 5 rows at most." in summary
    assert "<img" not in summary
    assert "Choose at least one table" in (await owner.post(path, data={**FORM, "table": []})).text
    assert "not valid yet" in (await owner.post(path, data={"name": "x"})).text
    assert await list_agents(owner, connection_id) == []


async def test_hostile_names_are_only_text(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    table = "<script>alert(1)</script>'\"`$(id)`"
    quoted = table.replace('"', '""')
    await run_as_admin(
        project, f'CREATE TABLE "{quoted}" (id int PRIMARY KEY, "</code><b>" text)', "CREATE TABLE odd (id int)"
    )
    form = {**FORM, "name": HOSTILE, "table": [f"public.{table}"]}
    made = await owner.post(f"/c/{connection_id}/agents", data=form)
    assert made.status_code == 201
    (agent,) = await list_agents(owner, connection_id)
    assert (agent["name"], agent["tables"]) == (HOSTILE, [f"public.{table}"])
    own = f"/c/{connection_id}/agents/{agent['id']}"
    for page in (made.text, *[(await owner.get(p)).text for p in (own, f"{own}/revoke", f"/c/{connection_id}/agents")]):
        assert "<img" not in page
        assert "<script>alert" not in page
        assert "49" not in re.findall(r"onerror=alert\(1\)[^<]{0,60}", unescape(page))[0]
    offered = (await owner.get(f"/c/{connection_id}/agents/new")).text
    assert "<script>alert" not in offered
    assert "public.odd" in offered


async def test_tables_are_typed_where_the_project_does_not_answer(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    limit = psycopg.sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(psycopg.sql.Identifier(project.database))
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(limit)
    page = (await owner.get(f"/c/{connection_id}/agents/new")).text
    assert "The project did not list its tables" in page
    form = {"name": "x", "access": "read", "reach": "chosen", "tables": "notes"}
    refused = await owner.post(f"/c/{connection_id}/agents", data=form)
    assert refused.status_code == 503
    assert "could not be checked" in refused.text
    assert "notes" in refused.text
    own, _ = await make(owner, connection_id)
    assert "your_table" in (await owner.get(own)).text


async def add_member(app_database: str, connection_id: str, role: str) -> None:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute(
            "INSERT INTO connection_members SELECT %s, id, %s FROM users WHERE email LIKE 'stranger%%'",
            (connection_id, role),
        )


async def set_role(app_database: str, role: str) -> None:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("UPDATE connection_members SET role = %s WHERE role = 'viewer'", (role,))
