"""`/api/connections…` over HTTP, on real databases."""

import httpx
import psycopg
import pytest

from tests.fixtures.app import ProjectDatabase, Serve, ServedProduct

UNKNOWN = "01890000-0000-7000-8000-000000000000"


async def create(person: httpx.AsyncClient, project: ProjectDatabase, **body: object) -> httpx.Response:
    return await person.post("/api/connections", json={"name": "Shop", "postgresUrl": project.dsn, **body})


async def test_a_connection_is_made_shown_changed_and_deleted(
    owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    created = await create(owner, project, environment="production")
    assert created.status_code == 201
    body = created.json()
    assert body == {
        "id": body["id"],
        "name": "Shop",
        "environment": "production",
        "hasKey": False,
        "hasPostgresUrl": True,
        "role": project.role,
        "dbRole": None,
        "schemas": None,
        "requiresTwoFactor": False,
        "approvalByAnother": False,
        "agentsFrozenAt": None,
        "member": "owner",
        "serverVersion": body["serverVersion"],
        "createdAt": body["createdAt"],
    }
    path = f"/api/connections/{body['id']}"
    assert (await owner.get(path)).json() == body
    assert (await owner.get("/api/connections")).json() == {"connections": [body], "nextCursor": None}

    changed = await owner.patch(path, json={"name": "Store", "environment": "staging", "dbRole": project.reader})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["environment"]) == ("Store", "staging")
    assert changed.json()["role"] == changed.json()["dbRole"] == project.reader
    back = await owner.patch(path, json={"dbRole": None})
    assert back.json()["role"] == project.role

    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(path)).status_code == 404
    assert (await owner.get("/api/connections")).json()["connections"] == []


async def test_the_address_is_sealed_and_never_comes_back(
    owner: httpx.AsyncClient, project: ProjectDatabase, app_database: str
) -> None:
    connection_id = (await create(owner, project)).json()["id"]
    for path in ("", f"/{connection_id}", f"/{connection_id}/health", f"/{connection_id}/agents"):
        assert "project-pa55" not in (await owner.get(f"/api/connections{path}")).text
    for page in ("", "/settings", "/agents", "?check=1"):
        assert "project-pa55" not in (await owner.get(f"/c/{connection_id}{page}")).text
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute("SELECT sealed_postgres_url, connections::text FROM connections")
        sealed, whole = await cursor.fetchone() or (b"", "")
    assert b"project-pa55" not in sealed
    assert "project-pa55" not in whole


async def test_what_cannot_be_used_is_not_saved(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    wrong = project.dsn.replace("project-pa55", "wrong-pa55")
    answer = await owner.post("/api/connections", json={"name": "Shop", "postgresUrl": wrong})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "connection_failed")
    assert body["details"]["reason"] == "wrong_password"
    assert body["hint"]
    assert "wrong-pa55" not in answer.text
    assert (await owner.get("/api/connections")).json()["connections"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "postgresUrl"),
        ({"name": "x"}, "url"),
        ({"name": "x", "url": "https://x.supabase.co"}, "key"),
        ({"name": "x", "key": "sb_secret_0123456789"}, "url"),
        ({"name": "x", "url": "https://x.supabase.co", "key": "sb_secret_x"}, "key"),
        ({"name": "x", "url": "https://x.supabase.co?apikey=1", "key": "sb_secret_0123456789"}, "url"),
        ({"name": "", "postgresUrl": "postgresql://u:p@h/d"}, "name"),
        ({"name": "x\x00", "postgresUrl": "postgresql://u:p@h/d"}, "name"),
        ({"name": "x", "postgresUrl": "mysql://u:p@h/d"}, "postgresUrl"),
        ({"name": "x", "postgresUrl": "postgresql://u:p@h/d", "environment": "prod"}, "environment"),
        ({"name": "x", "postgresUrl": "postgresql://u:p@h/d", "dbRole": ""}, "dbRole"),
        ({"name": "x", "postgresUrl": "postgresql://u:p@h/d", "owner": "me"}, "owner"),
    ],
)
async def test_a_body_that_does_not_fit_names_its_field(
    owner: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    answer = await owner.post("/api/connections", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert field in {item["field"] for item in answer.json()["details"]}


async def test_a_role_must_be_one_that_the_login_may_take_on_and_no_superuser(
    owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    for role in ("postgres", "no_such_role"):
        answer = await create(owner, project, dbRole=role)
        assert answer.status_code == 422
        assert answer.json()["details"][0]["field"] == "dbRole"
    as_superuser = {"name": "Shop", "postgresUrl": project.admin_dsn}
    admin_role = project.admin_dsn.partition("://")[2].partition(":")[0]
    answer = await owner.post("/api/connections", json={**as_superuser, "dbRole": admin_role})
    assert "superuser" in answer.json()["details"][0]["message"]
    answer = await owner.post("/api/connections", json={**as_superuser, "dbRole": project.reader})
    assert answer.status_code == 201


async def test_health_shows_what_broke_since(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    path = f"/api/connections/{connection_id}/health"
    assert (await owner.get(path)).json()["ok"] is True
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(f"ALTER ROLE \"{project.role}\" PASSWORD 'changed'")
    health = (await owner.get(path)).json()
    assert (health["ok"], health["reason"]) == (False, "wrong_password")
    assert "password" in (await owner.get(f"/c/{connection_id}?check=1")).text


async def test_probing_is_limited_per_person(
    product: ServedProduct, owner: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    body = {"name": "x", "postgresUrl": "postgresql://u:p@127.0.0.1:1/d"}
    statuses = [(await owner.post("/api/connections", json=body)).status_code for _ in range(21)]
    assert statuses == [422] * 20 + [429]
    other = await product.sign_up("other@example.com")
    assert (await create(other, project)).status_code == 201


async def test_private_addresses_are_refused_by_default(serve: Serve, project: ProjectDatabase) -> None:
    product = await serve({"allow_private_addresses": False})
    answer = await create(await product.sign_up("owner@example.com"), project)
    assert answer.json()["details"]["reason"] == "address_refused"


async def test_a_new_address_must_work_before_it_takes_the_old_ones_place(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    path = f"/api/connections/{connection_id}"
    answer = await owner.patch(path, json={"postgresUrl": project.dsn + "_not", "name": "Renamed"})
    assert answer.json()["details"]["reason"] == "no_such_database"
    assert (await owner.get(path)).json()["name"] == "Shop"
    answer = await owner.patch(path, json={"postgresUrl": project.admin_dsn})
    assert answer.json()["role"] == project.admin_dsn.partition("://")[2].partition(":")[0]


async def test_lists_come_in_pages(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    made = [(await create(owner, project, name=f"Shop {number}")).json()["id"] for number in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await owner.get("/api/connections", params=query)).json()
        seen += [connection["id"] for connection in page["connections"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    for bad in ({"limit": "0"}, {"limit": "1000"}, {"cursor": "x"}):
        assert (await owner.get("/api/connections", params=bad)).status_code == 422


ROUTES = [
    ("GET", "/api/connections/{id}", None),
    ("PATCH", "/api/connections/{id}", {"name": "Mine"}),
    ("DELETE", "/api/connections/{id}", None),
    ("GET", "/api/connections/{id}/health", None),
    ("GET", "/api/connections/{id}/agents", None),
    ("POST", "/api/connections/{id}/agents", {"name": "a", "access": "read"}),
    ("DELETE", "/api/connections/{id}/agents/{agent}", None),
    ("GET", "/c/{id}", None),
    ("GET", "/c/{id}/health", None),
    ("GET", "/c/{id}/agents", None),
    ("POST", "/c/{id}/agents", None),
    ("GET", "/c/{id}/agents/new", None),
    ("POST", "/c/{id}/agents/summary", None),
    ("POST", "/c/{id}/agents/{agent}/edit/changes", None),
    ("GET", "/c/{id}/agents/{agent}", None),
    ("GET", "/c/{id}/agents/{agent}/first-request", None),
    ("GET", "/c/{id}/agents/{agent}/revoke", None),
    ("POST", "/c/{id}/agents/{agent}/revoke", None),
    ("GET", "/c/{id}/settings", None),
    *(("POST", f"/c/{{id}}/settings/{card}", None) for card in ("general", "postgres", "project", "role", "schemas")),
    ("GET", "/c/{id}/delete", None),
    ("POST", "/c/{id}/delete", None),
]


@pytest.fixture
async def agent_id(owner: httpx.AsyncClient, connection_id: str) -> str:
    answer = await owner.post(f"/api/connections/{connection_id}/agents", json={"name": "a", "access": "read"})
    return str(answer.json()["id"])


async def test_to_a_stranger_nothing_is_there(
    owner: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    client: httpx.AsyncClient,
    connection_id: str,
    agent_id: str,
) -> None:
    for method, path, body in ROUTES:
        theirs = path.format(id=connection_id, agent=agent_id)
        unknown = path.format(id=UNKNOWN, agent=agent_id)
        answer = await stranger.request(method, theirs, json=body)
        assert answer.status_code == 404, (method, path)
        if path.startswith("/api/"):
            assert answer.json() == (await stranger.request(method, unknown, json=body)).json()
        for odd in ("x", connection_id.upper() + "x", "%00", "' OR 1=1"):
            assert (await owner.request(method, path.format(id=odd, agent=agent_id), json=body)).status_code == 404
        expected = 401 if path.startswith("/api/") else 303
        assert (await client.request(method, theirs, json=body)).status_code == expected
    assert (await stranger.get("/api/connections")).json()["connections"] == []
    assert (await owner.get(f"/api/connections/{connection_id}")).status_code == 200


async def test_anothers_agent_is_not_there_under_ones_own_connection(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str, agent_id: str, project: ProjectDatabase
) -> None:
    own = (await create(stranger, project)).json()["id"]
    assert (await stranger.delete(f"/api/connections/{own}/agents/{agent_id}")).status_code == 404
    agents = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"]
    assert [agent["id"] for agent in agents] == [agent_id]


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_members_see_and_only_owners_manage(
    stranger: httpx.AsyncClient, connection_id: str, agent_id: str, app_database: str, role: str
) -> None:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute(
            "INSERT INTO connection_members SELECT %s, id, %s FROM users WHERE email LIKE 'stranger%%'",
            (connection_id, role),
        )
    managing = {"PATCH", "DELETE", "POST"}
    for method, path, body in ROUTES:
        answer = await stranger.request(method, path.format(id=connection_id, agent=agent_id), json=body)
        is_managing = method in managing or path.endswith(("/settings", "/delete", "/revoke", "/new"))
        assert answer.status_code == (403 if is_managing else 200), (method, path)
    assert (await stranger.get("/api/connections")).json()["connections"][0]["member"] == role


async def test_an_account_deleted_beneath_its_connection_leaves_no_dangling_row(
    owner: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        await connection.execute("DELETE FROM users")
        cursor = await connection.execute("SELECT created_by FROM connections")
        assert await cursor.fetchone() == (None,)
        cursor = await connection.execute("SELECT count(*) FROM connection_members")
        assert await cursor.fetchone() == (0,)
