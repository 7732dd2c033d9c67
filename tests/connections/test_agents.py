"""Agent tokens: what may be asked for, and that a token ends the moment it should."""

from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import httpx
import psycopg
import pytest

from basewarden.accounts import SignInSessions
from basewarden.connections import Access, AgentCaller, Agents, ConnectionTargets, Role
from basewarden.core.tokens import is_checked_token
from basewarden.errors import NotFound
from tests.fixtures.app import ProjectDatabase, Serve, ServedProduct


def get(product: ServedProduct, kind: type[Any]) -> Any:
    return product.registry.get(kind)


async def make(owner: httpx.AsyncClient, connection_id: str, **body: object) -> httpx.Response:
    return await owner.post(
        f"/api/connections/{connection_id}/agents", json={"name": "price-bot", "access": "write", **body}
    )


async def run_as_admin(project: ProjectDatabase, *statements: LiteralString) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        for statement in statements:
            await admin.execute(statement)


async def test_an_agent_is_made_listed_and_known_by_its_token(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase, app_database: str
) -> None:
    expires = datetime(2100, 1, 1, tzinfo=UTC)
    await run_as_admin(
        project,
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders (id int PRIMARY KEY)",
        "CREATE FUNCTION close_order() RETURNS void LANGUAGE sql AS ''",
    )
    made = await make(
        owner,
        connection_id,
        tables=["notes", "sales.orders", "rpc/close_order"],
        dbRole=project.reader,
        claims={"sub": "7", "roles": ["a"]},
        maxRowsPerWrite=10,
        maxWritesPerSession=20,
        maxRowsPerSession=30,
        maxRowsPerHour=40,
        requestsPerMinute=50,
        expiresAt=expires.isoformat(),
    )
    assert made.status_code == 201
    assert set(made.json()) == {"id", "token"}
    token = made.json()["token"]
    assert is_checked_token(token, "bwa")

    caller = await get(product, Agents).find_by_token(token)
    assert caller == AgentCaller(
        id=UUID(made.json()["id"]),
        name="price-bot",
        connection_id=UUID(connection_id),
        access=caller.access,
        tables={"public.notes": Access.WRITE, "sales.orders": Access.WRITE},
        functions=["public.close_order"],
        columns=None,
        db_role=project.reader,
        claims={"sub": "7", "roles": ["a"]},
        max_rows_per_write=10,
        max_writes_per_session=20,
        max_rows_per_session=30,
        max_rows_per_hour=40,
        max_read_rows_per_hour=None,
        requests_per_minute=50,
        expires_at=expires,
    )
    listed = await owner.get(f"/api/connections/{connection_id}/agents")
    assert token not in listed.text
    (agent,) = listed.json()["agents"]
    assert agent["tokenHint"] == token[-4:]
    assert agent["lastUsedAt"] is not None
    async with await psycopg.AsyncConnection.connect(app_database) as connection:
        cursor = await connection.execute("SELECT agents::text FROM agents")
        assert token not in str(await cursor.fetchone())


async def test_defaults_are_safe_ones(product: ServedProduct, owner: httpx.AsyncClient, connection_id: str) -> None:
    token = (await make(owner, connection_id)).json()["token"]
    caller = await get(product, Agents).find_by_token(token)
    assert (caller.max_rows_per_write, caller.max_writes_per_session) == (1000, 500)
    assert caller.functions is None
    assert (caller.tables, caller.claims, caller.db_role, caller.expires_at) == (None, None, None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"access": "admin"}, "access"),
        ({"name": " "}, "name"),
        ({"tables": [""]}, "tables.0"),
        ({"tables": ["public."]}, "tables.0"),
        ({"tables": ["rpc/"]}, "tables.0"),
        ({"tables": ["x" * 64]}, "tables.0"),
        ({"tables": ["a\x00b"]}, "tables.0"),
        ({"tables": ["notes", "nosuchtable"]}, "tables"),
        ({"tables": {"notes": "none"}}, "tables.0"),
        ({"tables": {"notes": None}}, "tables.0"),
        ({"tables": {"": "read"}}, "tables.0"),
        ({"tables": {"notes": "read", "public.notes": "write"}}, "tables"),
        ({"tables": {"rpc/close_order": "write"}}, "tables"),
        ({"tables": {"notes": "read", "nosuchtable": "write"}}, "tables"),
        ({"tables": {f"t{n}": "read" for n in range(501)}}, "tables"),
        ({"tables": {"notes": "write"}, "access": "read"}, "tables"),
        ({"tables": "notes"}, "tables"),
        ({"functions": ["nosuchfunction"]}, "functions"),
        ({"functions": [""]}, "functions.0"),
        ({"functions": {"close_order": "write"}}, "functions"),
        ({"maxRowsPerWrite": 0}, "maxRowsPerWrite"),
        ({"maxWritesPerSession": 2**31}, "maxWritesPerSession"),
        ({"maxRowsPerSession": 0}, "maxRowsPerSession"),
        ({"maxRowsPerHour": -1}, "maxRowsPerHour"),
        ({"maxReadRowsPerHour": 2**31}, "maxReadRowsPerHour"),
        ({"requestsPerMinute": "many"}, "requestsPerMinute"),
        ({"columns": {"notes": {"nosuchcolumn": "mask"}}}, "columns"),
        ({"columns": {"nosuchtable": {"id": "mask"}}}, "columns"),
        ({"columns": {"notes": {"body": "blur"}}}, "columns.0"),
        ({"columns": {"notes": ["body"]}}, "columns"),
        ({"columns": {"rpc/f": {"body": "mask"}}}, "columns"),
        ({"columns": {"notes": {"a\x00": "mask"}}}, "columns.0"),
        ({"columns": {"notes": {}, "public.notes": {"body": "mask"}}}, "columns"),
        ({"columns": {"notes": {f"c{n}": "mask" for n in range(1001)}}}, "columns"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "9999-12-31T23:59:59-14:00"}, "expiresAt"),  # PostgreSQL has later years than we can read
        ({"claims": {"sub": "a\x00b"}}, "claims"),
        ({"claims": {"sub": "x" * 5000}}, "claims"),
        ({"claims": ["sub"]}, "claims"),
        ({"dbRole": "no_such_role"}, "dbRole"),
        ({"dbRole": "postgres"}, "dbRole"),
        ({"approval": True}, "approval"),
    ],
)
async def test_a_body_that_does_not_fit_names_its_field(
    owner: httpx.AsyncClient, connection_id: str, body: dict[str, Any], field: str
) -> None:
    answer = await make(owner, connection_id, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [item["field"] for item in answer.json()["details"]] == [field]


@pytest.mark.parametrize(
    ("tables", "shown"),
    [
        (["notes", "sales.orders"], ["public.notes", "sales.orders"]),
        ({"notes": "write", "sales.orders": "write"}, ["public.notes", "sales.orders"]),
        ({"notes": "read", "sales.orders": "write"}, {"public.notes": "read", "sales.orders": "write"}),
        ({}, []),
        (None, None),
    ],
)
async def test_each_table_has_an_access_of_its_own(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase,
    tables: object, shown: object,
) -> None:  # fmt: skip
    await run_as_admin(project, "CREATE SCHEMA sales", "CREATE TABLE sales.orders (id int PRIMARY KEY)")
    token = (await make(owner, connection_id, tables=tables)).json()["token"]
    (agent,) = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"]
    assert (agent["tables"], agent["functions"]) == (shown, None if shown is None else [])
    caller = await get(product, Agents).find_by_token(token)
    expected = dict.fromkeys(shown, "write") if isinstance(shown, list) else shown
    assert caller.tables == expected


async def test_functions_may_be_listed_apart_or_among_the_tables(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    names = ("f", "g")
    await run_as_admin(project, *(f"CREATE FUNCTION {one}() RETURNS void LANGUAGE sql AS ''" for one in names))
    for body, tables, functions in (
        ({"tables": ["rpc/f", "notes"], "functions": ["g", "rpc/f"]}, ["public.notes"], ["public.f", "public.g"]),
        ({"tables": {"notes": "read"}, "functions": ["rpc/public.g"]}, {"public.notes": "read"}, ["public.g"]),
        ({"functions": ["f"]}, None, ["public.f"]),
        ({"functions": []}, None, []),
    ):
        token = (await make(owner, connection_id, **body)).json()["token"]
        agent = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"][0]
        assert (agent["tables"], agent["functions"]) == (tables, functions), body
        assert (await get(product, Agents).find_by_token(token)).functions == functions


async def test_an_agent_that_was_stored_before_each_table_had_an_access_works_on(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, app_database: str
) -> None:
    token = (await make(owner, connection_id)).json()["token"]
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True) as connection:
        await connection.execute("UPDATE agents SET tables = '{public.notes,rpc/public.close_order}'")
    caller = await get(product, Agents).find_by_token(token)
    assert caller is not None
    assert (caller.tables, caller.functions) == ({"public.notes": "write"}, ["public.close_order"])
    (agent,) = (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"]
    assert (agent["tables"], agent["functions"]) == (["public.notes"], ["public.close_order"])


async def test_revoking_works_at_once_here_and_soon_everywhere(
    serve: Serve, owner: httpx.AsyncClient, product: ServedProduct, connection_id: str
) -> None:
    other = await serve()
    made = (await make(owner, connection_id)).json()
    for process in (product, other):
        assert await get(process, Agents).find_by_token(made["token"]) is not None
    path = f"/api/connections/{connection_id}/agents/{made['id']}"
    assert (await owner.delete(path)).status_code == 204
    assert await get(product, Agents).find_by_token(made["token"]) is None
    deadline = datetime.now(UTC) + timedelta(seconds=2)
    while await get(other, Agents).find_by_token(made["token"]) is not None:
        assert datetime.now(UTC) < deadline
        await other.settled()
    assert (await owner.delete(path)).status_code == 404
    assert (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"] == []


async def test_a_token_ends_with_its_time_even_when_it_is_remembered(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str
) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=1)
    token = (await make(owner, connection_id, expiresAt=expires.isoformat())).json()["token"]
    assert await get(product, Agents).find_by_token(token) is not None
    while datetime.now(UTC) < expires:
        await product.settled()
    assert await get(product, Agents).find_by_token(token) is None


async def test_deleting_the_connection_ends_its_agents_and_its_target(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str
) -> None:
    token = (await make(owner, connection_id)).json()["token"]
    agents, targets = get(product, Agents), get(product, ConnectionTargets)
    assert await agents.find_by_token(token) is not None
    assert (await targets.get_target(UUID(connection_id))).name == "Shop"
    assert (await owner.delete(f"/api/connections/{connection_id}")).status_code == 204
    assert await agents.find_by_token(token) is None
    with pytest.raises(NotFound):
        await targets.get_target(UUID(connection_id))


async def test_a_made_up_token_is_no_agent(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str
) -> None:
    token = (await make(owner, connection_id)).json()["token"]
    for wrong in (
        "",
        "x",
        token[:-1],
        token + "x",
        token.replace("bwa_", "bwb_"),
        token[:-1] + "é",
        "bwa_" + "0" * 38,
    ):
        assert await get(product, Agents).find_by_token(wrong) is None


async def test_a_target_opens_for_the_data_api_and_hides_its_password(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    targets = get(product, ConnectionTargets)
    target = await targets.get_target(UUID(connection_id))
    assert "project-pa55" not in repr(target)
    dsn = await targets.open_dsn(target)
    assert "project-pa55" not in repr(dsn)
    async with await psycopg.AsyncConnection.connect(dsn.reveal()) as connection:
        cursor = await connection.execute("SELECT session_user")
        assert await cursor.fetchone() == (project.role,)

    await owner.patch(f"/api/connections/{connection_id}", json={"dbRole": project.reader})
    assert (await targets.get_target(UUID(connection_id))).db_role == project.reader


async def test_roles_are_known_to_the_data_api(
    product: ServedProduct, owner: httpx.AsyncClient, stranger: httpx.AsyncClient, connection_id: str
) -> None:
    targets = get(product, ConnectionTargets)
    for who, role in ((owner, Role.OWNER), (stranger, None)):
        cookie = "; ".join(f"{name}={value}" for name, value in who.cookies.items())
        scope = {"headers": [(b"cookie", cookie.encode())]}
        person = await get(product, SignInSessions).find_signed_in(scope)
        assert await targets.find_role(UUID(connection_id), person) is role


async def test_tables_and_functions_that_do_not_exist_are_named(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    wanted = ["notes", "nosuchtable", "rpc/nosuch", "other.notes"]
    answer = await make(owner, connection_id, tables=wanted)
    message = "The project has no table named: public.nosuchtable, rpc/public.nosuch, other.notes."
    named = "The project has no table named: public.nosuchtable, other.notes."
    assert (answer.status_code, answer.json()["details"]) == (422, [{"field": "tables", "message": message}])
    form = {"name": "x", "access": "read", "tables": "\n".join(wanted)}
    page = await owner.post(f"/c/{connection_id}/agents", data=form)
    assert (page.status_code, named in page.text) == (422, True)
    assert (await owner.get(f"/api/connections/{connection_id}/agents")).json()["agents"] == []


async def test_a_table_that_was_just_made_may_be_named(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    assert (await make(owner, connection_id, tables=["notes"])).status_code == 201
    await run_as_admin(project, "CREATE TABLE later (id int PRIMARY KEY)")
    assert (await make(owner, connection_id, tables=["later"])).status_code == 201


async def test_tables_of_a_project_that_is_away_are_not_taken_on_trust(
    owner: httpx.AsyncClient, connection_id: str, project: ProjectDatabase
) -> None:
    limit = psycopg.sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(psycopg.sql.Identifier(project.database))
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(limit)
    answer = await make(owner, connection_id, tables=["notes"])
    assert (answer.status_code, answer.json()["code"]) == (503, "tables_unchecked")
    assert project.database not in answer.text
