"""Connections of which a project's URL and key are known: `/api/connections…` over HTTP, and the pages."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.fakes.hostile import HostileExchange, HostileServer, always, be_good, make_answer, serve_hostile
from tests.fakes.supabase import Supabase, SupabaseProject
from tests.fixtures.app import ProjectDatabase, Serve, ServedProduct

NO_ONES_KEY = "sb_secret_0123456789abcdef"


@pytest.fixture
async def rest(supabase: Supabase, project: ProjectDatabase) -> AsyncIterator[SupabaseProject]:
    async with supabase.project(project.dsn, project.role) as served:
        yield served


async def create(person: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await person.post("/api/connections", json={"name": "Shop", **body})


def details(answer: httpx.Response) -> Any:
    assert answer.status_code == 422, answer.text
    return answer.json()["details"]


async def test_a_project_is_connected_to_by_url_and_key(owner: httpx.AsyncClient, rest: SupabaseProject) -> None:
    key = rest.secret_key()
    answer = await create(owner, url=f"{rest.url}/rest/v1/", key=key)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["hasKey"], body["hasPostgresUrl"], body["role"], body["dbRole"]) == (True, False, "service_role", None)
    assert body["serverVersion"].startswith("PostgREST")
    health = (await owner.get(f"/api/connections/{body['id']}/health")).json()
    assert (health["ok"], health["backend"], health["tellsSchema"]) == (True, "forward", True)
    assert (health["tables"], health["writableTables"], health["keyRole"]) == (1, 1, "service_role")
    assert health["schemas"] == ["public"]


async def test_key_and_address_are_sealed_and_never_come_back(
    owner: httpx.AsyncClient, rest: SupabaseProject, app_database: str
) -> None:
    key = rest.secret_key()
    connection_id = (await create(owner, url=rest.url, key=key)).json()["id"]
    for path in ("", f"/{connection_id}", f"/{connection_id}/health", f"/{connection_id}/agents"):
        assert key not in (await owner.get(f"/api/connections{path}")).text
    for page in ("", "/settings", "/agents", "?check=1", "/data"):
        assert key not in (await owner.get(f"/c/{connection_id}{page}")).text
    assert key not in (await owner.get("/api/account/export")).text
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute("SELECT sealed_key, connections::text FROM connections")
        sealed, whole = await cursor.fetchone() or (b"", "")
    assert key.encode() not in sealed
    assert key not in whole


async def test_both_are_used_as_the_database_in_the_keys_role(
    owner: httpx.AsyncClient, rest: SupabaseProject, project: ProjectDatabase
) -> None:
    key = rest.legacy_key(project.reader)
    body = (await create(owner, postgresUrl=project.dsn, url=rest.url, key=key)).json()
    assert (body["hasKey"], body["hasPostgresUrl"], body["role"]) == (True, True, project.reader)
    data = f"/api/v/{body['id']}/rest/v1/notes"
    assert (await owner.get(data)).json() == []
    assert (await owner.post(data, json={"id": 1})).json()["code"] == "42501"
    heard = [scope["path"] for scope in rest.heard]
    assert not any(path.endswith("/notes") for path in heard)
    other = await create(owner, postgresUrl=project.dsn, url=rest.url, key=rest.legacy_key("stranger"))
    assert details(other) == [
        {
            "field": "dbRole",
            "message": f"The login {project.role} may not switch to the key's role, stranger. Choose another role.",
        }
    ]
    named = await create(owner, postgresUrl=project.dsn, url=rest.url, key=rest.secret_key(), dbRole=project.role)
    assert named.json()["role"] == project.role


async def test_a_role_of_its_own_needs_the_address(owner: httpx.AsyncClient, rest: SupabaseProject) -> None:
    answer = await create(owner, url=rest.url, key=rest.secret_key(), dbRole="someone")
    assert details(answer)[0]["field"] == "dbRole"


async def test_either_can_be_set_replaced_and_taken_away_but_not_both(
    owner: httpx.AsyncClient, rest: SupabaseProject, project: ProjectDatabase
) -> None:
    made = (await create(owner, url=rest.url, key=rest.secret_key())).json()
    path = f"/api/connections/{made['id']}"

    async def change(**body: Any) -> httpx.Response:
        return await owner.patch(path, json=body)

    assert details(await change(url=None))[0]["field"] == "postgresUrl"
    assert details(await change(key=None))[0]["field"] == "postgresUrl"
    assert details(await change(dbRole=project.role))[0]["field"] == "dbRole"
    replaced = await change(key=rest.legacy_key(project.role))
    assert replaced.json()["role"] == project.role
    with_both = await change(postgresUrl=project.dsn)
    assert (with_both.json()["hasKey"], with_both.json()["hasPostgresUrl"]) == (True, True)
    direct = await change(url=None)
    assert (direct.json()["hasKey"], direct.json()["hasPostgresUrl"]) == (False, True)
    assert details(await change(postgresUrl=None))[0]["field"] == "postgresUrl"
    assert details(await change(key=rest.secret_key()))[0]["field"] == "url"
    again = await change(url=rest.url, key=rest.secret_key(), postgresUrl=None)
    assert (again.json()["hasKey"], again.json()["hasPostgresUrl"], again.json()["role"]) == (
        True,
        False,
        "service_role",
    )


async def test_a_saved_key_is_sent_nowhere_else(owner: httpx.AsyncClient, rest: SupabaseProject) -> None:
    """A person who may change the URL could otherwise read the key, which is never shown."""
    made = (await create(owner, url=rest.url, key=rest.secret_key())).json()
    async with serve_hostile() as thief:
        answer = await owner.patch(f"/api/connections/{made['id']}", json={"url": thief.url})
        assert details(answer)[0]["field"] == "key"
        assert thief.connections == 0


async def test_a_changed_key_takes_the_old_ones_place_at_once(
    product: ServedProduct, owner: httpx.AsyncClient, rest: SupabaseProject
) -> None:
    old = rest.secret_key()
    made = (await create(owner, url=rest.url, key=old)).json()
    data = f"/api/v/{made['id']}/rest/v1/notes"
    assert (await owner.get(data)).status_code == 200
    del rest.keys[old]
    refused = await owner.get(data)
    assert (refused.status_code, refused.json()["code"]) == (502, "upstream_refused")
    assert (await owner.patch(f"/api/connections/{made['id']}", json={"key": rest.secret_key()})).status_code == 200
    await product.settled()
    assert (await owner.get(data)).status_code == 200


REFUSALS: list[tuple[bytes, str, str]] = [
    (make_answer(401, {"message": "Invalid API key"}), "wrong_key", "key"),
    (make_answer(401, b"", "text/plain"), "wrong_key", "key"),
    (make_answer(401, {"code": "PGRST301", "message": "JWT invalid"}), "wrong_key", "key"),
    (make_answer(403, b"denied", "text/plain"), "wrong_key", "key"),
    (make_answer(200, b"<html>hello</html>", "text/html"), "not_rest", "url"),
    (make_answer(200, {"hello": 1}), "not_rest", "url"),
    (make_answer(404, b"<html></html>", "text/html"), "not_rest", "url"),
    (make_answer(301, b"", location="https://elsewhere.example/"), "redirects", "url"),
    (make_answer(540, b"paused", "text/html"), "project_paused", "url"),
    (make_answer(521, b"down", "text/html"), "project_away", "url"),
    (make_answer(503, {"code": "PGRST002", "message": "no schema cache"}), "not_ready", "url"),
    (make_answer(429, {"message": "slow"}), "too_many_requests", "url"),
    (b"220 mail.example ESMTP\r\n\r\n", "not_rest", "url"),
    (b"", "unreachable", "url"),
]


async def test_what_cannot_be_used_is_not_saved_and_says_why(product: ServedProduct, owner: httpx.AsyncClient) -> None:
    async with serve_hostile() as hostile:
        for data, reason, field in REFUSALS:
            hostile.behave = always(data, closes=True)
            answer = await create(owner, url=hostile.url, key=NO_ONES_KEY)
            body = details(answer)
            assert (body["reason"], body["field"], answer.json()["code"]) == (reason, field, "connection_failed"), data
            assert answer.json()["hint"]
            assert NO_ONES_KEY not in answer.text
    closed = await create(owner, url="http://127.0.0.1:1", key=NO_ONES_KEY)
    assert details(closed)["reason"] == "refused"
    assert (await owner.get("/api/connections")).json()["connections"] == []
    more = [(await create(owner, url="http://127.0.0.1:1", key=NO_ONES_KEY)).status_code for _ in range(6)]
    assert more[-1] == 429


async def test_a_project_that_is_silent_is_given_up_in_time(
    owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("basewarden.connections.rest.probe.PROBE_SECONDS", 0.3)

    async def stay_silent(turn: HostileExchange) -> None:
        await turn.gone()

    async with serve_hostile(stay_silent) as hostile:
        answer = await create(owner, url=hostile.url, key=NO_ONES_KEY)
    assert details(answer)["reason"] == "timed_out"


async def test_private_addresses_are_refused_by_default(serve: Serve) -> None:
    product = await serve({"allow_private_addresses": False})
    person = await product.sign_up("owner@example.com")
    async with serve_hostile() as hostile:
        for url in (
            hostile.url,
            f"http://localhost:{hostile.port}",
            "http://169.254.169.254/",
            "http://[::ffff:10.0.0.1]/",
        ):
            answer = await create(person, url=url, key=NO_ONES_KEY)
            assert (details(answer)["reason"], details(answer)["field"]) == ("address_refused", "url")
        assert hostile.connections == 0


async def be_plain(turn: HostileExchange) -> None:
    """PostgREST alone: without a gateway, its API is at the root."""
    if turn.heard.target.startswith("/rest/v1"):
        await turn.send(make_answer(404, {"code": "PGRST125", "message": "Invalid path specified in request URL"}))
    else:
        await be_good(turn)


@pytest.fixture
async def plain() -> AsyncIterator[HostileServer]:
    async with serve_hostile(be_plain) as plain:
        yield plain


async def test_a_plain_postgrest_is_found_by_looking(owner: httpx.AsyncClient, plain: HostileServer) -> None:
    for typed in (plain.url, f"{plain.url}/rest/v1"):
        made = await create(owner, url=typed, key=NO_ONES_KEY)
        assert made.status_code == 201, made.text
        assert (await owner.get(f"/api/v/{made.json()['id']}/rest/v1/notes")).json() == [{"id": 1}]
        assert plain.heard[-1].target == "/notes"


# Pages --------------------------------------------------------------------------------------------------


async def test_one_form_takes_either_or_both(
    owner: httpx.AsyncClient, rest: SupabaseProject, project: ProjectDatabase
) -> None:
    page = (await owner.get("/connections/new")).text
    assert "Recording is best effort" in page
    assert "Recording is exact" in page
    key = rest.secret_key()
    empty = {"postgresUrl": "", "url": "", "key": "", "dbRole": ""}
    neither = await owner.post("/connections/new", data={"name": "Shop", "environment": "other", **empty})
    assert neither.status_code == 422
    for name in ("url", "postgresUrl"):
        field = re.search(f'<input[^>]*id="{name}"[^>]*>', neither.text)
        assert field is not None
        assert 'aria-invalid="true"' in field[0]
    form = {"name": "Shop", "environment": "other", **empty, "url": rest.url, "key": "sb_secret_wrong_wrong"}
    wrong = await owner.post("/connections/new", data=form)
    assert wrong.status_code == 422
    assert f'value="{rest.url}"' in wrong.text
    assert "sb_secret_wrong_wrong" not in wrong.text
    assert "The project refused this key." in wrong.text
    assert "Copy the whole key again" in wrong.text
    assert 'name="keyKept"' in wrong.text
    assert re.search('id="by-project" value="project" checked', wrong.text) is not None
    made = await owner.post("/connections/new", data={**form, "key": key})
    assert made.status_code == 303
    home = (await owner.get(made.headers["location"])).text
    assert "Requests run as service_role, which bypasses row level security" in home
    assert "best effort" in home
    assert key not in home
    assert "PostgREST" in (await owner.get("/connections")).text
    both = await owner.post(
        "/connections/new", data={**form, "key": rest.legacy_key(project.role), "postgresUrl": project.dsn}
    )
    assert both.status_code == 303


async def test_settings_set_replace_and_forget(
    owner: httpx.AsyncClient, rest: SupabaseProject, project: ProjectDatabase
) -> None:
    made = (await create(owner, url=rest.url, key=rest.secret_key())).json()
    path = f"/c/{made['id']}/settings"
    page = (await owner.get(path)).text
    assert "forgetPostgres" not in page
    assert rest.url in page
    form = {"url": f"{rest.url}/rest/v1", "key": ""}
    assert "Enter a key." in (await owner.post(f"{path}/project", data=form)).text
    form["key"] = rest.legacy_key(project.role)
    assert (await owner.post(f"{path}/project", data=form)).status_code == 303
    assert (await owner.post(f"{path}/postgres", data={"postgresUrl": project.dsn})).status_code == 303
    page = (await owner.get(path)).text
    assert "forgetPostgres" in page
    moved = await owner.post(f"{path}/project", data={"url": "http://127.0.0.1:1", "key": ""})
    assert moved.status_code == 422
    assert "Paste the key again" in moved.text
    assert (await owner.post(f"{path}/project", data={**form, "forgetProject": "1"})).status_code == 303
    body = (await owner.get(f"/api/connections/{made['id']}")).json()
    assert (body["hasKey"], body["hasPostgresUrl"]) == (False, True)
