"""Changing an agent: what holds from when on, what asks who one is, and what another member changed meanwhile."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.connections import Agents
from tests.connections.test_agent_pages import add_member, make, run_as_admin, set_role, write
from tests.connections.test_agent_states import HOSTILE, api
from tests.fakes.supabase import Supabase
from tests.fixtures.app import PASSWORD, ProjectDatabase, Serve, ServedProduct, read_refusal
from tests.fixtures.html_forms import HtmlForm, find_forms
from tests.fixtures.waiting import wait_until
from tests.flows.records import Records
from tests.flows.test_reauth import sign_in_long_ago

OWNER = "owner@example.com"
SQL = (
    "CREATE TABLE other (id int PRIMARY KEY, ssn text)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
    "CREATE FUNCTION g() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
)


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


async def read(owner: httpx.AsyncClient, own: str) -> dict[str, Any]:
    found: dict[str, Any] = (await owner.get(api(own))).json()
    return found


async def list_audited(records: Records) -> list[tuple[str, str | None, dict[str, Any]]]:
    rows = await records.rows("SELECT kind, name, details FROM audit_events ORDER BY id")
    wanted = ("agent_", "connection_")
    return [(row["kind"], row["name"], row["details"]) for row in rows if row["kind"].startswith(wanted)]


async def open_form(client: httpx.AsyncClient, own: str, **typed: str) -> tuple[httpx.Response, HtmlForm]:
    page = await client.get(f"{own}/edit")
    assert page.status_code == 200, page.text
    return page, find_form(page, typed)


def find_form(page: httpx.Response, typed: Mapping[str, str]) -> HtmlForm:
    """The form of the page as it came, with some fields filled in again."""
    (form,) = find_forms(page, re.compile(r".*/edit"))
    form.fill(typed)
    return form


async def test_only_what_is_sent_changes_and_holds_at_the_next_request(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    await run_as_admin(project, *SQL)
    own, token = await make(owner, connection_id, tables=["notes"], claims={"sub": "7"}, maxRowsPerWrite=5)
    assert (await write(owner, token, connection_id, json={"id": 1})).status_code == 201
    before = await read(owner, own)
    assert (await owner.patch(api(own), json={})).json() == before
    changed = (await owner.patch(api(own), json={"name": "renamed", "maxRowsPerWrite": 1})).json()
    assert changed == {**before, "name": "renamed", "maxRowsPerWrite": 1}
    two = [{"id": 2}, {"id": 3}]
    assert read_refusal(await write(owner, token, connection_id, json=two)) == (403, "row_limit")
    assert (await owner.patch(api(own), json={"access": "read"})).json()["access"] == "read"
    assert read_refusal(await write(owner, token, connection_id, json={"id": 2})) == (403, "read_only")
    all_of_it = {"access": "write", "tables": None, "claims": None, "dbRole": project.reader, "expiresAt": None}
    assert (await owner.patch(api(own), json=all_of_it)).json()["tables"] is None
    assert (await write(owner, token, connection_id, json={"id": 2})).json()["code"] == "42501"


async def test_propose_lies_between_read_and_write(
    product: ServedProduct, records: Records, owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    """A table has the agent's own access or read; more access needs a fresh sign-in, less never does."""
    await run_as_admin(project, *SQL)
    for access, table in (("propose", "write"), ("write", "propose"), ("read", "propose")):
        wanted = {"name": "x", "access": access, "tables": {"notes": table}}
        refused = await owner.post(f"/api/connections/{connection_id}/agents", json=wanted)
        assert (refused.status_code, refused.json()["details"][0]["field"]) == (422, "tables")
    own, token = await make(owner, connection_id, access="propose", tables={"notes": "propose", "other": "read"})
    assert (await read(owner, own))["tables"] == {"public.notes": "propose", "public.other": "read"}
    assert read_refusal(await write(owner, token, connection_id, json={"id": 1})) == (403, "approval_required")
    assert read_refusal(await owner.patch(api(own), json={"tables": {"notes": "write"}})) == (422, "validation_failed")
    old = await sign_in_long_ago(product, records, OWNER)
    for access in ("write", "read"):
        expected = (403, "reauth_required") if access == "write" else (200, None)
        answer = await old.patch(api(own), json={"access": access})
        assert (answer.status_code, answer.json().get("code")) == expected
    assert (await read(owner, own))["tables"] == ["public.notes", "public.other"]
    assert read_refusal(await old.patch(api(own), json={"access": "propose"})) == (403, "reauth_required")
    assert read_refusal(await write(owner, token, connection_id, json={"id": 1})) == (403, "read_only")
    await owner.patch(api(own), json={"access": "write"})
    assert (await write(owner, token, connection_id, json={"id": 1})).status_code == 201


async def test_a_change_reaches_the_other_process(serve: Serve, owner: httpx.AsyncClient, connection_id: str) -> None:
    other = await serve()
    own, token = await make(owner, connection_id)
    agents = other.registry.get(Agents)

    async def read_limit() -> int | None:
        caller = await agents.find_by_token(token)
        return caller.max_rows_per_write if caller is not None else None

    assert await read_limit() == 1000
    assert (await owner.patch(api(own), json={"maxRowsPerWrite": 3})).is_success
    await wait_until(read_limit, "the new limit", matches=lambda limit: limit == 3)


@pytest.mark.parametrize(
    ("made", "change", "shown"),
    [
        ({}, {"tables": ["notes"]}, (["public.notes"], [], None)),
        ({}, {"tables": {"notes": "read", "other": "write"}}, ({"public.notes": "read", "public.other": "write"}, [], None)),
        ({"functions": ["f"]}, {"tables": ["notes"]}, (["public.notes"], ["public.f"], None)),
        ({"functions": ["f"]}, {"tables": ["notes", "rpc/g"]}, (["public.notes"], ["public.g"], None)),
        ({"functions": ["f"]}, {"tables": ["rpc/g"], "functions": ["f"]}, ([], ["public.g", "public.f"], None)),
        ({"tables": ["notes"]}, {"tables": None}, (None, [], None)),
        ({"tables": ["notes"]}, {"tables": None, "functions": None}, (None, None, None)),
        ({"tables": ["notes"], "functions": ["f"]}, {"functions": None}, (["public.notes"], [], None)),
        ({"tables": ["notes"]}, {"functions": ["g"]}, (["public.notes"], ["public.g"], None)),
        ({}, {"columns": {"other": {"ssn": "deny"}}}, (None, [], {"public.other": {"ssn": "deny"}})),
        ({"columns": {"other": {"ssn": "deny"}}}, {"columns": None}, (None, [], None)),
        ({"columns": {"other": {"ssn": "deny"}}}, {"columns": None, "functions": None}, (None, None, None)),
        (
            {"columns": {"other": {"ssn": "deny"}}},
            {"columns": {"other": {"ssn": "mask"}, "notes": {"body": "mask"}}},
            (None, [], {"public.other": {"ssn": "mask"}, "public.notes": {"body": "mask"}}),
        ),
        ({"tables": {"notes": "write", "other": "read"}}, {"access": "read"}, (["public.notes", "public.other"], [], None)),
        ({"access": "read", "tables": ["notes"]}, {"access": "write"}, (["public.notes"], [], None)),
        (
            {"access": "read", "tables": ["notes"]},
            {"access": "write", "tables": {"notes": "read"}},
            ({"public.notes": "read"}, [], None),
        ),
    ],
)  # fmt: skip
async def test_tables_functions_and_columns_after_a_change(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase,
    made: dict[str, Any], change: dict[str, Any], shown: tuple[Any, ...],
) -> None:  # fmt: skip
    await run_as_admin(project, *SQL)
    own, _ = await make(owner, connection_id, **made)
    for _ in range(2):
        answer = await owner.patch(api(own), json=change)
        assert answer.status_code == 200, answer.text
        agent = answer.json()
        assert (agent["tables"], agent["functions"], agent["columns"]) == shown
        assert await read(owner, own) == agent


async def test_a_narrowed_write_access_is_as_it_was_when_it_comes_again(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    await run_as_admin(project, *SQL)
    own, _ = await make(owner, connection_id, tables={"notes": "write", "other": "read"})
    assert (await owner.patch(api(own), json={"access": "read"})).is_success
    again = (await owner.patch(api(own), json={"access": "write"})).json()
    assert again["tables"] == {"public.notes": "write", "public.other": "read"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"access": None}, "access"),
        ({"access": "propose-all"}, "access"),
        ({"tables": ["nosuchtable"]}, "tables"),
        ({"tables": {"nosuchtable": "read"}}, "tables"),
        ({"tables": "notes"}, "tables"),
        ({"tables": ["x"] * 501}, "tables"),
        ({"tables": {"notes": "write"}, "access": "read"}, "tables"),
        ({"functions": ["nosuchfunction"]}, "functions"),
        ({"functions": ["x"] * 501}, "functions"),
        ({"columns": {"notes": {"nosuchcolumn": "mask"}}}, "columns"),
        ({"columns": {"nosuchtable": {"id": "mask"}}}, "columns"),
        ({"columns": {"notes": {"body": "blur"}}}, "columns"),
        ({"dbRole": "no_such_role"}, "dbRole"),
        ({"dbRole": "postgres"}, "dbRole"),
        ({"dbRole": "a\x00"}, "dbRole"),
        ({"claims": [1]}, "claims"),
        ({"claims": {"a": "x" * 5000}}, "claims"),
        ({"maxRowsPerWrite": None}, "maxRowsPerWrite"),
        ({"maxRowsPerWrite": 0}, "maxRowsPerWrite"),
        ({"maxWritesPerSession": None}, "maxWritesPerSession"),
        ({"maxWritesPerSession": 2**31}, "maxWritesPerSession"),
        ({"maxRowsPerHour": 0}, "maxRowsPerHour"),
        ({"requestsPerMinute": -1}, "requestsPerMinute"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
        ({"status": "active"}, "status"),
        ({"token": "x"}, "token"),
    ],
)
async def test_a_change_that_does_not_fit_names_its_field(
    owner: httpx.AsyncClient, connection_id: str, body: dict[str, Any], field: str
) -> None:
    own, _ = await make(owner, connection_id)
    before = await read(owner, own)
    answer = await owner.patch(api(own), json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert {item["field"].partition(".")[0] for item in answer.json()["details"]} == {field}
    assert await read(owner, own) == before


async def test_a_table_does_not_get_more_than_the_agent_has(owner: httpx.AsyncClient, connection_id: str) -> None:
    own, _ = await make(owner, connection_id, access="read", tables=["notes"])
    answer = await owner.patch(api(own), json={"tables": {"notes": "write"}})
    assert [item["field"] for item in answer.json()["details"]] == ["tables"]
    both = await owner.patch(api(own), json={"tables": {"notes": "write"}, "access": "write"})
    assert both.json()["access"] == "write"


async def test_through_a_projects_api_there_are_no_rules_about_columns_and_no_role(
    owner: httpx.AsyncClient, supabase: Supabase, project: ProjectDatabase
) -> None:
    async with supabase.project(project.dsn, project.role) as rest:
        body = {"name": "Shop", "url": rest.url, "key": rest.secret_key()}
        connection = (await owner.post("/api/connections", json=body)).json()["id"]
        own, _ = await make(owner, connection, tables=["notes"])
        for change, field in (
            ({"columns": {"notes": {"body": "mask"}}}, "columns"),
            ({"dbRole": "anon"}, "dbRole"),
            ({"claims": {"sub": "1"}}, "claims"),
        ):
            answer = await owner.patch(api(own), json=change)
            assert [item["field"] for item in answer.json()["details"]] == [field]
        before = await read(owner, own)
        page, form = await open_form(owner, own, maxRowsPerWrite="7")
        assert (await form.submit(owner, page)).status_code == 303
        assert await read(owner, own) == {**before, "maxRowsPerWrite": 7}


async def test_more_needs_a_fresh_sign_in_and_less_does_not(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    columns = {"notes": {"body": "mask"}}
    own, _ = await make(owner, connection_id, tables=["notes"], columns=columns, maxRowsPerHour=9)
    old = await sign_in_long_ago(product, records, OWNER)
    before = await read(owner, own)
    for more in (
        {"tables": None},
        {"columns": None},
        {"maxRowsPerHour": 10},
        {"maxRowsPerHour": None},
        {"claims": {"a": 1}},
    ):
        assert read_refusal(await old.patch(api(own), json={"name": "no", **more})) == (403, "reauth_required"), more
    assert await read(owner, own) == before
    less = {
        "maxRowsPerWrite": 2,
        "name": "less",
        "columns": {"notes": {"body": "deny"}},
        "expiresAt": "2100-01-01T00:00:00Z",
    }
    assert (await old.patch(api(own), json=less)).json()["name"] == "less"
    assert (await old.patch(api(own), json={"access": "read"})).status_code == 200
    assert read_refusal(await old.patch(api(own), json={"access": "write"})) == (403, "reauth_required")


async def test_the_form_asks_who_it_is_only_where_it_gives_more(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    own, _ = await make(owner, connection_id, tables=["notes"], maxRowsPerWrite=5)
    old = await sign_in_long_ago(product, records, OWNER)
    assert 'name="confirmPassword"' not in (await old.get(f"{own}/edit")).text
    page, less = await open_form(old, own, name="form", maxRowsPerWrite="2")
    saved = await less.submit(old, page)
    assert saved.headers["location"] == f"{own}?done=edit"
    assert "Saved." in (await old.get(saved.headers["location"])).text
    page, more = await open_form(old, own, maxRowsPerWrite="3")
    asked = await more.submit(old, page)
    assert asked.status_code == 403
    again = find_form(asked, {"confirmPassword": "a-wrong-one"})
    assert again.find("maxRowsPerWrite").value == "3"
    wrong = await again.submit(old, asked)
    assert (wrong.status_code, "a-wrong-one" in wrong.text) == (422, False)
    assert (await read(owner, own))["maxRowsPerWrite"] == 2
    done = await find_form(wrong, {"confirmPassword": PASSWORD}).submit(old, wrong)
    assert done.headers["location"] == f"{own}?done=edit"
    assert (await read(owner, own))["maxRowsPerWrite"] == 3


async def test_the_form_begins_with_what_holds_and_saving_it_changes_nothing(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase, records: Records
) -> None:
    """Though a table is gone since then, the expiry is in the middle of a day, and no function was listed."""
    await run_as_admin(project, *SQL, "CREATE TABLE gone (id int PRIMARY KEY)")
    expires = datetime(2100, 3, 4, 12, 30, tzinfo=UTC)
    body = {
        "tables": {"notes": "write", "gone": "write", "other": "read"}, "claims": {"sub": "7"}, "functions": ["f"],
        "columns": {"other": {"ssn": "deny"}}, "expiresAt": expires.isoformat(), "maxRowsPerHour": 30,
    }  # fmt: skip
    others: list[dict[str, Any]] = [{"functions": []}, {"columns": {"notes": {"body": "mask"}}}, {"access": "read"}]
    for given in (body, *others):
        own, _ = await make(owner, connection_id, **given)
        await run_as_admin(project, "DROP TABLE IF EXISTS gone")
        before = await read(owner, own)
        page, form = await open_form(owner, own)
        assert (await form.submit(owner, page)).status_code == 303
        assert await read(owner, own) == before, given
    assert "agent_changed" not in [kind for kind, _, _ in await list_audited(records)]


async def test_the_page_says_in_words_what_saving_would_change(owner: httpx.AsyncClient, connection_id: str) -> None:
    own, _ = await make(owner, connection_id, name="robot", tables=["notes"], maxRowsPerWrite=1000)
    before = await read(owner, own)
    page, _ = await open_form(owner, own)
    assert page.text.count("data-step=") == 3
    assert "data-steps" not in page.text

    async def describe(of: str = own, **typed: str) -> str:
        page, form = await open_form(owner, of, **typed)
        form.action = f"{of}/edit/changes"
        answer = await form.submit(owner, page)
        assert answer.status_code == 200, answer.text
        return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.text)).split())

    assert await describe() == "Nothing is changed yet."
    assert await describe(maxRowsPerWrite="5") == "Saving changes this: Rows per write 1,000 → became 5"
    more = await describe(maxRowsPerWrite="5000", name=HOSTILE, requestsPerMinute="60")
    assert more.startswith("Saving changes this, and lets the agent do more:")
    assert "Rows per write 1,000 → became 5,000" in more
    assert "Requests per minute no limit → became 60" in more
    assert "Access read and write → became read" in await describe(access="read")
    assert "cannot be saved yet: Tables are chosen below." in await describe(reach="all")
    everywhere, _ = await make(owner, connection_id, name="second")
    assert "Tables every table → became notes" in await describe(everywhere, reach="chosen", table="public.notes")
    assert "Expires never → became 1 January 2100" in await describe(expiry="date", expiresAt="2100-01-01")
    assert "cannot be saved yet" in await describe(maxRowsPerWrite="0")
    assert (await owner.post(f"{own}/edit/changes", data={"name": HOSTILE, "formBase": ""})).text.count("<script") == 0
    assert await read(owner, own) == before


async def test_an_expired_agent_is_edited_without_a_new_expiry(
    owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    own, _ = await make(owner, connection_id, expiresAt="2100-03-04T12:30:00Z")
    await records.connection.execute("UPDATE agents SET expires_at = '2001-02-03 12:30+00'")
    page, form = await open_form(owner, own, name="renamed")
    assert (await form.submit(owner, page)).status_code == 303
    agent = await read(owner, own)
    assert (agent["name"], agent["status"], agent["expiresAt"]) == ("renamed", "expired", "2001-02-03T12:30:00Z")
    page, form = await open_form(owner, own, expiresAt="2001-02-04")
    refused = await form.submit(owner, page)
    assert (refused.status_code, "is in the past" in refused.text) == (422, True)
    page, form = await open_form(owner, own, expiresAt="2100-01-01")
    assert (await form.submit(owner, page)).status_code == 303
    assert (await read(owner, own))["status"] == "active"


async def test_what_was_typed_stays_after_an_error(owner: httpx.AsyncClient, connection_id: str) -> None:
    own, _ = await make(owner, connection_id, tables=["notes"])
    typed = {"name": HOSTILE, "maxRowsPerWrite": "77", "tables": "nosuchtable", "claims": '{"a": 1}'}
    page, form = await open_form(owner, own, **typed)
    refused = await form.submit(owner, page)
    assert refused.status_code == 422
    assert "The project has no table named: public.nosuchtable." in refused.text
    assert HOSTILE not in refused.text
    again = find_form(refused, {"tables": ""})
    assert [again.find(name).value for name in ("name", "maxRowsPerWrite", "claims")] == [HOSTILE, "77", '{"a": 1}']
    assert again.find("formBase").value == form.find("formBase").value
    assert (await again.submit(owner, refused)).status_code == 303
    agent = await read(owner, own)
    assert (agent["name"], agent["maxRowsPerWrite"], agent["claims"]) == (HOSTILE, 77, {"a": 1})
    assert agent["tables"] == ["public.notes"]
    assert HOSTILE not in (await owner.get(own)).text


@pytest.mark.parametrize("base", ["", "name", "name: :: access", "x" * 9000, HOSTILE])
async def test_a_form_without_its_beginning_sends_all_that_it_has(
    owner: httpx.AsyncClient, connection_id: str, base: str
) -> None:
    own, _ = await make(owner, connection_id, tables=["notes"], claims={"sub": "1"})
    form = {"name": "typed", "access": "write", "reach": "all", "maxRowsPerWrite": "", "formBase": base}
    assert (await owner.post(f"{own}/edit", data=form)).status_code == 303
    agent = await read(owner, own)
    assert (agent["name"], agent["tables"], agent["claims"]) == ("typed", None, {"sub": "1"})
    assert agent["maxRowsPerWrite"] == 1000


async def test_of_two_people_at_once_the_later_changes_only_what_it_sent(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    await run_as_admin(project, *SQL)
    own, _ = await make(owner, connection_id, tables=["notes"])
    page, first = await open_form(owner, own, maxRowsPerWrite="7")
    same, second = await open_form(owner, own, name="renamed")
    assert (await first.submit(owner, page)).status_code == 303
    assert (await owner.patch(api(own), json={"tables": ["notes", "other"]})).is_success
    assert (await second.submit(owner, same)).status_code == 303
    agent = await read(owner, own)
    assert (agent["name"], agent["maxRowsPerWrite"]) == ("renamed", 7)
    assert agent["tables"] == ["public.notes", "public.other"]
    changes = [{"maxRowsPerSession": 5}, {"maxRowsPerHour": 6}, {"requestsPerMinute": 7}, {"name": "both"}]
    answers = await asyncio.gather(*(owner.patch(api(own), json=one) for one in changes))
    assert [answer.status_code for answer in answers] == [200] * 4
    agent = await read(owner, own)
    assert [agent[name] for name in ("maxRowsPerSession", "maxRowsPerHour", "requestsPerMinute", "name")] == [
        5,
        6,
        7,
        "both",
    ]


async def test_what_counts_as_more_is_decided_on_the_agent_as_it_is_when_it_is_changed(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, records: Records, app_database: str
) -> None:
    """A lower limit than the one that was read is a higher one than the one that another member sets meanwhile."""
    own, _ = await make(owner, connection_id, maxRowsPerWrite=9)
    old = await sign_in_long_ago(product, records, OWNER)
    async with await psycopg.AsyncConnection.connect(app_database) as other:
        await other.execute("UPDATE agents SET max_rows_per_write = 2")
        sent = asyncio.create_task(old.patch(api(own), json={"maxRowsPerWrite": 5}))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await wait_until(lambda: records.value(waiting), "the change to wait for the lock")
        await other.commit()
    assert read_refusal(await sent) == (403, "reauth_required")
    assert (await read(owner, own))["maxRowsPerWrite"] == 2


async def test_who_may_change_an_agent(
    owner: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    product: ServedProduct,
    connection_id: str,
    app_database: str,
    project: ProjectDatabase,
) -> None:
    own, token = await make(owner, connection_id)
    visitor = await product.client()

    async def call(client: httpx.AsyncClient, path: str = own, **headers: str) -> list[int]:
        answers = [
            await client.patch(api(path), json={"name": "x"}, headers=headers),
            await client.get(f"{path}/edit", headers=headers),
            await client.post(f"{path}/edit", data={"name": "x", "access": "write"}, headers=headers),
        ]
        return [answer.status_code for answer in answers]

    assert await call(stranger) == [404] * 3
    assert (await call(visitor))[0] == 401
    assert (await call(visitor, authorization=f"Bearer {token}"))[0] == 401
    for odd in (f"{own[:-36]}{UUID(int=1)}", f"{own[:-36]}x"):
        assert await call(owner, odd) == [404] * 3
    body = {"name": "Other", "postgresUrl": project.dsn}
    elsewhere = (await owner.post("/api/connections", json=body)).json()["id"]
    assert await call(owner, own.replace(connection_id, elsewhere)) == [404] * 3
    for role in ("viewer", "editor"):
        await (add_member(app_database, connection_id, role) if role == "viewer" else set_role(app_database, role))
        assert await call(stranger) == [403] * 3
    await owner.delete(api(own))
    assert await call(owner) == [404] * 3
    assert (await read(owner, own))["name"] == "price-bot"


async def test_a_change_is_audited_with_the_names_of_its_fields_and_without_values(
    owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    own, _ = await make(owner, connection_id)
    change = {
        "claims": {"sub": "a secret claim"},
        "tables": {"notes": "read"},
        "maxRowsPerWrite": 77,
        "name": "price-bot",
    }
    for _ in range(2):
        assert (await owner.patch(api(own), json=change)).is_success
    ((kind, name, details),) = [one for one in await list_audited(records) if one[0] == "agent_changed"]
    assert (kind, name, details["agent"], details["connection"]) == (
        "agent_changed",
        "price-bot",
        own[-36:],
        connection_id,
    )
    assert sorted(details["fields"].split(", ")) == ["claims", "functions", "maxRowsPerWrite", "tables"]
    assert "secret" not in json.dumps(details)
    activity = unescape((await owner.get("/settings/account/activity")).text)
    assert f"Changed an agent: “price-bot” ({details['fields']})" in activity


async def test_tokens_and_connections_are_audited_from_their_beginning_to_their_end(
    owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    own, token = await make(owner, connection_id)
    rotated = (await owner.post(f"{api(own)}/rotate")).json()["token"]
    for status in (204, 404):
        assert (await owner.delete(api(own))).status_code == status
    for status in (204, 404):
        assert (await owner.delete(f"/api/connections/{connection_id}")).status_code == status
    events = await list_audited(records)
    assert [kind for kind, _, _ in events] == [
        "connection_created",
        "agent_token_made",
        "agent_token_revoked",
        "agent_token_made",
        "agent_token_revoked",
        "connection_deleted",
    ]
    assert {details["connection"] for _, _, details in events} == {connection_id}
    assert [details.get("agent") for _, _, details in events[1:5]] == [own[-36:]] * 4
    assert not any(secret in str(events) for secret in (token, rotated))
    activity = (await owner.get("/settings/account/activity")).text
    for words in ("Created a connection", "Created an agent token", "Revoked an agent token", "Deleted a connection"):
        assert words in activity


async def test_tokens_and_connections_of_forms_are_audited_too(
    owner: httpx.AsyncClient, connection_id: str, records: Records
) -> None:
    form = {"name": "form-bot", "access": "read", "reach": "all"}
    assert (await owner.post(f"/c/{connection_id}/agents", data=form)).status_code == 201
    (agent,) = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"]
    assert (await owner.post(f"/c/{connection_id}/agents/{agent['id']}/revoke")).status_code == 303
    assert (await owner.post(f"/c/{connection_id}/delete", data={"confirm": ""})).status_code == 303
    kinds = [kind for kind, _, _ in await list_audited(records)]
    assert kinds == ["connection_created", "agent_token_made", "agent_token_revoked", "connection_deleted"]
