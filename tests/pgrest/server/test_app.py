"""The application without a socket: what it adds to answers, and what it does when nothing is known yet."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pgrest import DbConnection, Statement
from pgrest.config import RestConfig
from pgrest.server import RestServer
from pgrest.server.log import Log
from pgrest.server.state import choose_name
from tests.fixtures.waiting import wait_until
from tests.pgrest.conftest import Client, settings_for
from tests.pgrest.test_writes import sign

NAP = "CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)'"
PARTS = ["jwt", "parse", "plan", "transaction", "response"]


@asynccontextmanager
async def serving(dsn: str, **changes: Any) -> AsyncIterator[Client]:
    app = RestServer(replace(settings_for(dsn, RestConfig()), **changes))
    await app.start()
    try:
        yield Client(app)
    finally:
        await app.stop()


async def define(client: Client, conn: DbConnection, statement: str) -> None:
    """Until the server knows of it."""
    await conn.run([Statement(statement)])
    await client.app.live.cache.reload()


@pytest.fixture(scope="module")
async def full(quiet_shop: str) -> AsyncIterator[Client]:
    """A server that adds all it can."""
    origins = ("http://page.example",)
    async with serving(quiet_shop, shows_timing=True, trace_header="X-Request-Id", cors_origins=origins) as client:
        yield client


async def test_timing_stands_on_answers_and_not_on_errors(full: Client) -> None:
    for method, target in (
        ("GET", "/items"),
        ("HEAD", "/items"),
        ("OPTIONS", "/items"),
        ("GET", "/"),
        ("GET", "/rpc/add?a=1"),
    ):
        answer = await full.send(method, target)
        assert answer.status == 200
        parts = [part.partition(";dur=") for part in answer.headers["server-timing"].split(", ")]
        assert [name for name, _, _ in parts] == PARTS
        assert all(float(value) >= 0 and len(value.partition(".")[2]) == 1 for _, _, value in parts)
    for target in ("/nothing", "/items?x=1"):
        assert "server-timing" not in (await full.get(target)).headers


async def test_the_trace_header_comes_back_on_everything(full: Client) -> None:
    for target, headers in (
        ("/items", {}),
        ("/nothing", {}),
        ("/items", {"authorization": "Bearer x"}),
    ):
        answer = await full.send("GET", target, None, {"x-request-id": "abc-1", **headers})
        assert answer.headers["x-request-id"] == "abc-1"
        assert (await full.send("GET", target, None, headers)).headers["x-request-id"] == ""
    preflight = {"origin": "http://page.example", "access-control-request-method": "POST", "x-request-id": "p"}
    answer = await full.send("OPTIONS", "/items", None, preflight)
    assert (answer.headers["x-request-id"], answer.headers["access-control-allow-credentials"]) == ("p", "true")


async def test_other_origins_get_an_answer_and_no_leave_to_read_it(full: Client) -> None:
    for method in ("GET", "POST"):
        answer = await full.send(
            method, "/rpc/add" if method == "POST" else "/items", {"a": 1}, {"origin": "http://evil"}
        )
        assert answer.status == 200
        assert not any(name.startswith("access-control") for name in answer.headers)
    info = await full.send("OPTIONS", "/items", None, {"origin": "http://evil", "access-control-request-method": "GET"})
    assert (info.headers["allow"], info.headers["access-control-allow-origin"]) == (
        "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE",
        "*",
    )


async def test_an_error_carries_leave_to_read_it_too(reader: Client) -> None:
    for headers in ({}, {"authorization": "Bearer x"}):
        answer = await reader.send("GET", "/nothing", None, {"origin": "http://any", **headers})
        assert answer.status in (401, 404)
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_what_a_function_sets_for_itself_stands(client: Client, conn: DbConnection) -> None:
    await define(
        client,
        conn,
        """CREATE FUNCTION own_headers(value text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config('response.headers',
             json_build_array(json_build_object('Access-Control-Allow-Origin', value))::text, true);
           RETURN 1; END $$""",
    )
    answer = await client.send("POST", "/rpc/own_headers", {"value": "http://one"}, {"origin": "http://one"})
    assert answer.headers["access-control-allow-origin"] == "http://one"
    broken = await client.send("POST", "/rpc/own_headers", {"value": "a\r\nSet-Cookie: x=1"})
    assert (broken.status, broken.json()["code"]) == (500, "PGRST111")
    assert "set-cookie" not in broken.headers


async def test_an_error_of_the_database_cannot_break_out_of_its_header(client: Client, conn: DbConnection) -> None:
    message = json.dumps({"code": "A\r\nSet-Cookie: x=1", "message": "m"})
    detail = json.dumps({"status": 400, "headers": {}})
    raising = f"RAISE SQLSTATE 'PGRST' USING message = '{message}', detail = '{detail}'"
    await define(client, conn, f"CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {raising}; END $$")
    answer = await client.post("/rpc/evil", {})
    assert (answer.status, answer.json()["code"]) == (500, "PGRST111")


async def test_a_slash_in_a_name_is_not_one_between_names(shop: str, conn: DbConnection) -> None:
    await conn.run([Statement('CREATE TABLE "a/b ü" AS SELECT 1 AS id'), Statement('GRANT ALL ON "a/b ü" TO web_anon')])
    async with serving(shop) as client:
        answer = await client.get("/a%2Fb%20%C3%BC")
        assert (answer.status, answer.json()) == (200, [{"id": 1}])
        assert (await client.get("/a/b%20%C3%BC")).json()["code"] == "PGRST125"
        assert (await client.get("/rpc%2Fadd")).json()["code"] == "PGRST205"


async def test_sql_sees_the_path_as_it_was_spelt(client: Client, conn: DbConnection) -> None:
    asks = "SELECT current_setting('request.path')"
    await define(client, conn, f"CREATE FUNCTION path() RETURNS text STABLE LANGUAGE sql AS $${asks}$$")
    for path in ("/rpc/path", "/rpc/p%61th", "/rpc/path", "/rp%63/path"):
        assert (await client.get(path)).json() == path


async def test_below_another_path_the_own_path_counts(reader: Client) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    for raw in (b"/base/items", b"/b%61se/items"):
        scope = {"type": "http", "method": "GET", "path": "/items", "raw_path": raw, "query_string": b""}
        await reader.app({**scope, "headers": []}, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [200, 200]


@pytest.mark.parametrize("target", ["/items?%FF=eq.1", "/items?sku=eq.%FF", "/items?select=%80"])
async def test_what_is_not_utf8_is_refused(reader: Client, target: str) -> None:
    answer = await reader.get(target)
    assert (answer.status, answer.json()["code"]) == (400, "22021")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/items/", 404, "PGRST125"),
        ("GET", "//", 404, "PGRST125"),
        ("GET", "/rpc", 404, "PGRST205"),
        ("GET", "/rpc/", 404, "PGRST202"),
        ("GET", "/rpc/add/more", 404, "PGRST125"),
        ("GET", "/items%00", 404, "PGRST205"),
        ("GET", "/%FF", 404, "PGRST205"),
        ("GET", "/rpc/%C3%28", 404, "PGRST202"),
        ("TRACE", "/items", 405, "PGRST117"),
        ("PROPFIND", "/items", 405, "PGRST117"),
        ("PUT", "/rpc/add", 405, "PGRST101"),
        ("POST", "/", 405, "PGRST117"),
        ("DELETE", "/", 405, "PGRST117"),
    ],
)
async def test_paths_and_methods_that_are_none(
    reader: Client, method: str, target: str, status: int, code: str
) -> None:
    answer = await reader.send(method, target)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"
    assert answer.headers["content-length"] == str(len(answer.body))


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(reader: Client) -> None:
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked = True
        return {"type": "http.request", "body": b"", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/items", "query_string": b""}
    await reader.app({**scope, "headers": [(b"content-length", b"50000001")]}, receive, send)
    assert (sent[0]["status"], asked) == (413, False)
    assert (b"Connection", b"close") in sent[0]["headers"]


async def test_a_body_that_is_cut_off_is_not_taken_for_a_whole_one(reader: Client) -> None:
    messages = iter([{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "DELETE", "path": "/items", "query_string": b""}
    await reader.app({**scope, "headers": [(b"content-length", b"9")]}, receive, send)
    assert sent == []
    assert len((await reader.get("/items")).json()) == 3


async def test_a_client_that_leaves_ends_its_statement(client: Client, conn: DbConnection) -> None:
    watch = Statement("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await define(client, conn, NAP)
    gone = asyncio.Event()
    messages = iter([{"type": "http.request", "body": b"{}"}])

    async def receive() -> Any:
        found = next(messages, None)
        if found is None:
            await gone.wait()
        return found or {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/rpc/nap", "query_string": b"", "headers": []}
    task = asyncio.create_task(client.app(scope, receive, send))
    async with asyncio.timeout(10):
        await wait_until(
            lambda: conn.run([watch]), "the statement to run", matches=lambda found: found[0].rows != [(b"0",)]
        )
        gone.set()
        await task
        await wait_until(
            lambda: conn.run([watch]), "the statement to be cancelled", matches=lambda found: found[0].rows == [(b"0",)]
        )
    assert sent == []
    assert (await client.get("/items?limit=1")).status == 200


async def test_cancelling_the_server_is_not_taken_for_a_client_that_left(client: Client, conn: DbConnection) -> None:
    await define(client, conn, NAP)
    task = asyncio.create_task(client.post("/rpc/nap", {}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_refused_is_refused_before_anything_else(full: Client) -> None:
    answer = await full.send("POST", "/nothing", b"x" * 100, {"authorization": "Bearer x.y.z"})
    assert (answer.status, answer.json()) == (
        401,
        {"code": "PGRST301", "details": None, "hint": None, "message": "JWT cryptographic operation failed"},
    )
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert answer.headers["proxy-status"] == "PostgREST; error=PGRST301"


async def test_a_role_that_does_not_exist_is_unauthorized(reader: Client) -> None:
    answer = await reader.get("/items", authorization=sign({"role": "nobody_at_all"}))
    assert (answer.status, answer.json()["code"], answer.headers["www-authenticate"]) == (401, "22023", "Bearer")


async def test_without_a_database_it_says_so_and_when_to_ask_again() -> None:
    app = RestServer(settings_for("postgresql://nobody@127.0.0.1:1/none", RestConfig()))
    await app.start()
    try:
        client = Client(app)
        answer = await client.get("/items")
        assert (answer.status, answer.json()) == (
            503,
            {
                "code": "PGRST002",
                "details": None,
                "hint": None,
                "message": "Could not query the database for the schema cache. Retrying.",
            },
        )
        assert answer.headers["retry-after"] == "1"
        assert (await client.get("/items", authorization="Bearer x")).status == 401
        assert not await app.live.is_connected()
    finally:
        await app.stop()


async def test_a_database_that_comes_back_is_found_again(shop: str, conn: DbConnection) -> None:
    name = psycopg.conninfo.conninfo_to_dict(shop)["dbname"]
    async with (
        serving(shop, reads_database=False) as client,
        await psycopg.AsyncConnection.connect(shop, autocommit=True, dbname="postgres") as admin,
    ):
        assert (await client.get("/items?limit=1")).status == 200
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
        answer = await client.get("/items?limit=1")
        assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
        assert answer.json()["code"] in ("PGRST000", "PGRST001")
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        await wait_until(
            lambda: client.get("/items?limit=1"),
            "the database to be back",
            matches=lambda found: found.status == 200,
            seconds=10,
        )
    assert not conn.is_usable


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://h/d", "basewarden rest"),
        ("postgresql://h/d?application_name=mine", "mine"),
        ("", "basewarden rest"),
    ],
)
def test_connections_have_the_name_that_the_operator_gave(dsn: str, name: str) -> None:
    assert choose_name(dsn) == name


async def test_an_unknown_failure_is_a_plain_500_and_the_log_says_where(client: Client) -> None:
    requests, events = io.StringIO(), io.StringIO()
    client.app.live.log = Log("error", requests=requests, events=events)
    client.app.live._cache = "no cache"  # type: ignore[assignment]  # an unexpected value
    answer = await client.get("/items?sku=eq.hush")
    client.app.live._cache = None
    assert (answer.status, answer.json()["code"]) == (500, "PGRSTX00")
    assert answer.json()["message"] == "Internal server error"
    assert "runner.py" in events.getvalue()
    assert "hush" not in events.getvalue()
    assert '"GET /items?sku=eq.hush HTTP/1.1" 500 ' in requests.getvalue()


async def test_a_function_cannot_change_the_framing(client: Client, conn: DbConnection) -> None:
    await define(
        client,
        conn,
        """CREATE FUNCTION framed(headers text, status text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
           PERFORM set_config('response.headers', headers, true);
           PERFORM set_config('response.status', status, true);
           RETURN 1; END $$""",
    )
    await define(
        client,
        conn,
        """CREATE FUNCTION raised(status int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
           RAISE SQLSTATE 'PGRST' USING message = '{"code": "X", "message": "m"}',
             detail = json_build_object('status', status, 'headers', json_build_object('Content-Length', '3'))::text;
           END $$""",
    )
    framing = '[{"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"Connection": "close"}, {"X-Own": "1"}]'
    answer = await client.post("/rpc/framed", {"headers": framing, "status": "200"})
    assert (answer.json(), answer.headers["content-length"], answer.headers["x-own"]) == (1, "1", "1")
    assert not {"transfer-encoding", "connection"} & set(answer.headers)
    for status in (204, 304):
        for call in (("/rpc/framed", {"headers": "[]", "status": str(status)}), ("/rpc/raised", {"status": status})):
            answer = await client.post(*call)
            assert (answer.status, answer.body) == (status, b""), call
            assert "content-length" not in answer.headers
    for wrong in ("100", "600", "0"):
        answer = await client.post("/rpc/framed", {"headers": "[]", "status": wrong})
        assert (answer.status, answer.json()["code"]) == (500, "PGRST112")
        answer = await client.post("/rpc/raised", {"status": int(wrong)})
        assert (answer.status, answer.json()["code"]) == (500, "PGRST121")
