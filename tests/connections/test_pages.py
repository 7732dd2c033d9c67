"""The pages of connections, used as a person without script would."""

import html
import re

import httpx
import psycopg
from psycopg import sql

from basewarden.connections.warnings import LOGIN_SQL
from tests.fixtures.app import ProjectDatabase


async def test_from_the_empty_page_to_a_connection(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    assert "Connect your first database" in (await owner.get("/connections")).text
    assert "Find the connection string" in (await owner.get("/connections/new")).text
    form = {"name": "Shop <1>", "postgresUrl": project.dsn, "environment": "production", "dbRole": ""}
    answer = await owner.post("/connections/new", data=form)
    assert answer.status_code == 303
    home = await owner.get(answer.headers["location"])
    assert "Create an agent next" in home.text
    assert "Shop &lt;1&gt;" in home.text
    assert 'data-environment="production"' in home.text
    assert "The connection is not encrypted" not in home.text
    listed = await owner.get("/connections")
    assert "Shop &lt;1&gt;" in listed.text


async def test_a_refused_address_is_explained_beside_its_field_and_never_echoed(
    owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    wrong = project.dsn.replace("project-pa55", "wrong-pa55")
    form = {"name": "Shop", "postgresUrl": wrong, "environment": "staging", "dbRole": ""}
    answer = await owner.post("/connections/new", data=form)
    assert answer.status_code == 422
    assert answer.headers["cache-control"] == "no-store"
    field = re.search(r'<input[^>]*id="postgresUrl"[^>]*>', answer.text)
    assert field is not None
    assert 'type="password"' in field[0]
    assert 'aria-invalid="true"' in field[0]
    assert "refused this user name and password" in answer.text
    assert 'value="Shop"' in answer.text
    assert "wrong-pa55" not in answer.text
    assert 'name="postgresUrlKept"' in answer.text


async def test_each_card_of_the_settings_saves_what_it_shows(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    path = f"/c/{connection_id}/settings"
    general = {"name": "Store", "environment": "staging"}
    saved = await owner.post(f"{path}/general", data=general)
    assert saved.headers["location"] == f"{path}?done=general#general"
    assert (await owner.post(f"{path}/role", data={"dbRole": project.reader})).status_code == 303
    shown = (await owner.get(f"{path}?done=general")).text
    assert "Name and environment saved." in shown
    assert f'<option value="{project.reader}" selected>' in shown
    assert shown.count("Changed <time") == 2
    assert re.search(rf"postgresql://{project.role}@[^/<]+/\w+</code>", shown) is not None
    assert "project-pa55" not in shown
    changed = (await owner.get(f"/api/connections/{connection_id}")).json()
    assert (changed["name"], changed["environment"], changed["dbRole"]) == ("Store", "staging", project.reader)
    assert (await owner.post(f"{path}/role", data={"dbRole": ""})).status_code == 303
    assert (await owner.get(f"/api/connections/{connection_id}")).json()["dbRole"] is None


async def test_a_refused_card_keeps_what_was_typed_and_leaves_the_others_as_saved(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    path = f"/c/{connection_id}/settings"
    refused = await owner.post(f"{path}/general", data={"name": "", "environment": "staging"})
    assert refused.status_code == 422
    assert re.search(r'value="staging" checked', refused.text) is not None
    refused = await owner.post(f"{path}/postgres", data={"postgresUrl": project.dsn + "_not"})
    assert refused.status_code == 422
    assert "no database of that name" in refused.text
    assert 'value="Shop"' in refused.text
    assert "project-pa55" not in refused.text
    assert 'name="postgresUrlKept"' in refused.text
    for card, fields in (("postgres", {}), ("project", {"url": ""})):
        assert (await owner.post(f"{path}/{card}", data=fields)).status_code == 422
    assert (await owner.post(f"{path}/nothing", data={})).status_code == 404


async def test_deleting_a_production_connection_asks_for_its_name(owner: httpx.AsyncClient, connection_id: str) -> None:
    path = f"/c/{connection_id}/delete"
    await owner.patch(f"/api/connections/{connection_id}", json={"environment": "production"})
    assert "<code>Shop</code>" in (await owner.get(path)).text
    for word in ({}, {"confirm": ""}, {"confirm": "shop"}):
        assert (await owner.post(path, data=word)).status_code == 422
    answer = await owner.post(path, data={"confirm": "Shop"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections?done=deleted")
    assert (await owner.get(f"/c/{connection_id}")).status_code == 404


async def test_another_connection_is_deleted_without_a_word_to_type(
    owner: httpx.AsyncClient, connection_id: str
) -> None:
    assert (await owner.post(f"/c/{connection_id}/delete")).status_code == 303


async def test_a_superuser_login_is_warned_about(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    form = {"name": "Root", "postgresUrl": project.admin_dsn, "environment": "other"}
    home = await owner.get((await owner.post("/connections/new", data=form)).headers["location"])
    assert "Requests run as the superuser" in home.text
    assert "Basewarden signs in as the superuser" in home.text
    assert html.escape(LOGIN_SQL, quote=True).replace("&#x27;", "&#39;") in home.text


PASSWORD = "of-the-role-of-the-test"


async def test_the_role_that_the_warning_offers_can_do_what_the_product_needs(
    owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    name = f"made_{project.database}"
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(LOGIN_SQL.replace("basewarden", name).replace("choose-a-long-one", PASSWORD).encode())
        try:
            dsn = f"postgresql://{name}:{PASSWORD}@{project.admin_dsn.rpartition('@')[2]}"
            made = (await owner.post("/api/connections", json={"name": "Own", "postgresUrl": dsn})).json()
            path = f"/api/v/{made['id']}/rest/v1/notes"
            written = await owner.post(path, json={"id": 1, "body": "x"})
            assert written.status_code == 201, written.text
            session = written.headers["x-basewarden-session"]
            undone = await owner.post(f"/api/connections/{made['id']}/sessions/{session}/undo", json={"mode": "apply"})
            assert undone.status_code == 200, undone.text
            assert (await owner.get(path)).json() == []
            await owner.delete(f"/api/connections/{made['id']}")
        finally:
            await admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))
