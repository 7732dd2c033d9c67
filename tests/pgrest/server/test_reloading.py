"""Settings and schema that change under a server that runs, and a database that comes and goes."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import LiteralString

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.fixtures.ports import reserve_port
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import wait_until
from tests.pgrest.server.conftest import LOGIN, as_login
from tests.pgrest.server.rest_process import Rest, is_alive, is_listening, list_children, running_rest, starting_rest
from tests.pgrest.test_writes import sign

PRE_CONFIG = """
CREATE SCHEMA private;
CREATE FUNCTION private.settings() RETURNS void LANGUAGE sql AS $$
  SELECT set_config('pgrst.db_max_rows', '2', true), set_config('pgrst.jwt_aud', 'function', true),
         set_config('pgrst.server_trace_header', 'X-Function', true), set_config('pgrst.unknown', 'x', true)
$$;
GRANT USAGE ON SCHEMA private TO PUBLIC;
CREATE SCHEMA other;
CREATE TABLE other.things AS SELECT 1 AS id;
GRANT USAGE ON SCHEMA other TO web_anon;
GRANT SELECT ON other.things TO web_anon;
"""


@pytest.fixture
async def admin(shop: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as connection:
        await connection.execute(PRE_CONFIG)
        yield connection
        await connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(sql.Identifier(LOGIN)))


async def set_on_role(admin: psycopg.AsyncConnection, name: str, value: str, *, in_database: str | None = None) -> None:
    place = sql.SQL("IN DATABASE {} ").format(sql.Identifier(in_database)) if in_database else sql.SQL("")
    statement = sql.SQL("ALTER ROLE {} {}SET {} = {}")
    await admin.execute(statement.format(sql.Identifier(LOGIN), place, sql.SQL(name), sql.Literal(value)))


async def count_naps(admin: psycopg.AsyncConnection) -> int:
    cursor = await admin.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    [count] = await cursor.fetchone() or [0]
    return int(count)


async def until(rest: Rest, target: str, status: int, **headers: str) -> httpx.Response:
    return await wait_until(
        lambda: rest.http.get(target, headers=headers),
        f"{status} from {target}",
        matches=lambda answer: answer.status_code == status,
        seconds=20,
    )


async def test_settings_stand_in_the_database_and_change_with_it(
    shop: str, login: None, admin: psycopg.AsyncConnection
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(shop)["dbname"]
    await set_on_role(admin, "pgrst.db_max_rows", "1")
    await set_on_role(admin, "pgrst.jwt_aud", "role")
    await set_on_role(admin, "pgrst.jwt_aud", "here", in_database=str(name))
    options = {"db_pre_config": "private.settings", "db_max_rows": 3, "db_schemas": "public"}
    async with running_rest(as_login(shop), **options) as rest:
        answer = await rest.http.get("/customers", headers={"x-function": "t"})
        assert (len(answer.json()), answer.headers["x-function"]) == (1, "t")
        for audience, status in (("here", 200), ("role", 401), ("function", 401)):
            token = sign({"role": "web_reader", "aud": audience})
            assert (await rest.http.get("/customers", headers={"authorization": token})).status_code == status

        # a notification: what the role loses the function says; another schema is another snapshot
        await admin.execute(sql.SQL("ALTER ROLE {} RESET pgrst.db_max_rows").format(sql.Identifier(LOGIN)))
        await set_on_role(admin, "pgrst.db_schemas", "other, public")
        await admin.execute("NOTIFY pgrst, 'reload config'")
        answer = await until(rest, "/things", 200)
        assert answer.json() == [{"id": 1}]
        answer = await rest.http.get("/customers", headers={"accept-profile": "public"})
        assert len(answer.json()) == 2

        # a wrong value changes nothing, and the log says what is wrong
        await set_on_role(admin, "pgrst.db_tx_end", "sideways")
        await set_on_role(admin, "pgrst.jwt_aud", "nobody", in_database=str(name))
        await admin.execute("NOTIFY pgrst, 'reload config'")
        await rest.until_said("Failed reloading config: db-tx-end takes one of commit, commit-allow-override")
        token = sign({"role": "web_reader", "aud": "here"})
        headers = {"authorization": token, "accept-profile": "public"}
        assert (await rest.http.get("/customers", headers=headers)).status_code == 200


async def test_signals_reload_the_file_and_the_schema(shop: str, login: None, admin: psycopg.AsyncConnection) -> None:
    async with running_rest(as_login(shop), db_channel_enabled=False) as rest:
        token = sign({"role": "web_reader"})
        assert (await rest.http.get("/customers", headers={"authorization": token})).status_code == 200
        elsewhere = reserve_port()
        await rest.reconfigure(
            jwt_secret="quite another secret of thirty-two bytes", db_max_rows=1, server_port=elsewhere
        )
        rest.signal(signal.SIGUSR2)
        await rest.until_said("Config reloaded", times=2)
        refused = await rest.http.get("/customers", headers={"authorization": token})
        assert (refused.status_code, refused.json()["code"]) == (401, "PGRST301")
        assert len((await rest.http.get("/customers")).json()) == 1
        assert not is_listening(elsewhere)  # where it listens does not change

        await rest.reconfigure(db_max_rows="many")
        rest.signal(signal.SIGUSR2)
        await rest.until_said("Failed reloading config: db-max-rows takes a whole number")
        assert len((await rest.http.get("/customers")).json()) == 1

        await admin.execute("CREATE FUNCTION fresh() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'")
        await rest.reconfigure(db_max_rows=2)
        loads = rest.said().count("Schema cache loaded")
        for _ in range(5):
            rest.signal(signal.SIGUSR1)
        await rest.until_said("Schema cache loaded", times=loads + 1)
        assert (await rest.http.get("/rpc/fresh")).json() == 1
        assert len((await rest.http.get("/customers")).json()) == 2
        await asyncio.sleep(0.5)
        assert rest.said().count("Schema cache loaded") <= loads + 2  # what comes in a burst is one
        assert rest.process.returncode is None


async def test_a_notification_reloads_the_schema_on_the_channel_that_is_set(
    shop: str, login: None, admin: psycopg.AsyncConnection
) -> None:
    async with running_rest(as_login(shop), db_channel='my "channel"') as rest:
        loads = rest.said().count("Schema cache loaded")
        await admin.execute("CREATE FUNCTION fresh() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'")
        await admin.execute("NOTIFY pgrst")
        await admin.execute('NOTIFY "my ""channel""", \'something else\'')
        await admin.execute('NOTIFY "my ""channel""", \'reload schema\'')
        await rest.until_said("Schema cache loaded", times=loads + 1)
        assert (await rest.http.get("/rpc/fresh")).json() == 1
        assert rest.said().count("Received a schema cache reload message") == 1


@pytest.fixture
async def beside(postgres: PostgresServer) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection to another database of the same server."""
    async with await psycopg.AsyncConnection.connect(postgres.embedded.dsn("postgres"), autocommit=True) as connection:
        yield connection


async def test_it_starts_without_its_database_and_lives_through_its_loss(
    shop: str, login: None, beside: psycopg.AsyncConnection
) -> None:
    database = sql.Identifier(shop.rpartition("/")[2])

    async def allow(word: LiteralString) -> None:
        await beside.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS " + word).format(database))

    await allow("false")
    async with starting_rest(as_login(shop)) as rest:
        await rest.until_said("Attempting to reconnect to the database in 1 seconds...")
        answer = await until(rest, "/items", 503)
        assert (answer.json()["code"], answer.headers["retry-after"].isdigit()) == ("PGRST002", True)
        assert (await rest.admin.get("/live")).status_code == 200
        assert (await rest.admin.get("/ready")).status_code == 503
        await rest.until_said("Attempting to reconnect to the database in 2 seconds...")
        await allow("true")
        await rest.until_ready()
        assert (await rest.http.get("/items")).status_code == 200

        await allow("false")
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        await beside.execute(kill, (LOGIN,))
        await rest.until_ready(503)
        answer = await until(rest, "/items", 503)
        assert answer.json()["code"] in ("PGRST000", "PGRST001")
        await allow("true")
        await until(rest, "/items", 200)
        await rest.until_ready()
        assert rest.process.returncode is None


async def test_without_recovery_a_loss_is_the_end(shop: str, login: None, admin: psycopg.AsyncConnection) -> None:
    async with running_rest(as_login(shop), db_pool_automatic_recovery=False) as rest:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (LOGIN,))
        assert await rest.ended() == 1
        assert "automatic recovery is off" in rest.said()


async def test_a_refused_login_is_not_tried_for_ever(shop: str, login: None) -> None:
    wrong = as_login(shop).replace("rest-pa55word", "wrong-pa55word")
    async with starting_rest(wrong) as rest:
        assert await rest.ended() == 1
        assert "The database refuses the login." in rest.said()
        assert "wrong-pa55word" not in rest.said()


async def test_a_request_under_way_is_answered_before_the_end(
    shop: str, login: None, admin: psycopg.AsyncConnection
) -> None:
    await admin.execute(
        "CREATE FUNCTION nap(seconds float8) RETURNS int LANGUAGE sql AS 'SELECT pg_sleep($1); SELECT 1'"
    )
    async with running_rest(as_login(shop)) as rest:
        started = time.monotonic()
        under_way = asyncio.create_task(rest.http.post("/rpc/nap", json={"seconds": 1.0}))
        await wait_until(lambda: count_naps(admin), "the statement to run")
        rest.signal(signal.SIGTERM)
        answer = await under_way
        assert (answer.status_code, answer.json()) == (200, 1)
        assert await rest.ended() == 0
        assert time.monotonic() - started < 10
        assert not is_listening(rest.port)


async def test_it_ends_at_once_at_the_second_signal(shop: str, login: None, admin: psycopg.AsyncConnection) -> None:
    await admin.execute("CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)'")
    async with running_rest(as_login(shop)) as rest:
        under_way = asyncio.create_task(rest.http.post("/rpc/nap"))
        await asyncio.sleep(0.3)
        for number in (signal.SIGINT, signal.SIGINT):
            rest.signal(number)
            await asyncio.sleep(0.1)
        assert await rest.ended() == 130
        with suppress(httpx.TransportError):
            assert (await under_way).status_code == 500
    await wait_until(lambda: count_naps(admin), "the statement to be cancelled", matches=lambda count: count == 0)


# Workers ------------------------------------------------------------------------------------------------


async def test_workers_share_the_work_and_answer_as_one(shop: str, login: None, admin: psycopg.AsyncConnection) -> None:
    await admin.execute("CREATE FUNCTION backend() RETURNS int LANGUAGE sql AS 'SELECT pg_backend_pid()'")
    async with running_rest(as_login(shop), "--workers", "2", db_pool=4) as rest:
        children = list_children(rest.pid)
        assert len(children) == 2
        backends: set[int] = set()
        async with asyncio.timeout(20):
            while len(backends) < 2:  # the worker that accepts a connection answers on it
                async with httpx.AsyncClient(base_url=rest.http.base_url, trust_env=False) as client:
                    backends.add((await client.post("/rpc/backend")).json())
        metrics = (await rest.admin.get("/metrics")).text
        assert "\npgrst_db_pool_max 4.0\n" in metrics
        assert '\npgrst_schema_cache_loads_total{status="SUCCESS"} 2.0\n' in metrics

        await admin.execute("CREATE FUNCTION fresh() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'")
        await rest.reconfigure(db_max_rows=1)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            rest.signal(number)
        await rest.until_said("Schema cache loaded", times=4)
        for _ in range(6):
            async with httpx.AsyncClient(base_url=rest.http.base_url, trust_env=False) as client:
                assert (await client.get("/rpc/fresh")).json() == 1
                assert len((await client.get("/customers")).json()) == 1

        os.kill(children[0], signal.SIGKILL)
        await wait_until(
            lambda: list_children(rest.pid),
            "another worker",
            matches=lambda now: now != children and len(now) == 2,
            seconds=20,
        )
        await rest.until_ready()
        rest.signal(signal.SIGTERM)
        assert await rest.ended() == 0
        assert not is_listening(rest.port)


async def test_a_worker_that_gives_up_ends_all(shop: str, login: None) -> None:
    wrong = as_login(shop).replace("rest-pa55word", "wrong-pa55word")
    async with starting_rest(wrong, "--workers", "2") as rest:
        assert await rest.ended() == 1


async def test_workers_do_not_outlive_their_supervisor(shop: str, login: None) -> None:
    async with running_rest(as_login(shop), "--workers", "2") as rest:
        children = list_children(rest.pid)
        rest.process.kill()
        await rest.process.wait()
        await wait_until(
            lambda: [child for child in children if is_alive(child)],
            "the workers to end",
            matches=lambda alive: not alive,
            seconds=20,
        )
        assert not is_listening(rest.port)
