"""Many callers over few db connections: no caller meets the claims or rows of another, even after one was cut off.

`ISOLATION_REQUESTS=10000` asks for more than CI does.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
import pytest

from benchmarks.servers import sign_token
from pgrest import RestConfig
from tests.fixtures.postgres import PostgresServer
from tests.pgrest.conftest import SECRET, Client, open_client

REQUESTS = int(os.environ.get("ISOLATION_REQUESTS", "600"))
AT_ONCE = 40
_SCRIPT = """
    DO $$ BEGIN
      CREATE ROLE iso_user NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    DO $$ BEGIN
      CREATE ROLE iso_service NOLOGIN BYPASSRLS; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    CREATE TABLE diary (id int PRIMARY KEY, owner text NOT NULL, body text);
    INSERT INTO diary SELECT n, (ARRAY['ada', 'bob', 'cyd'])[n % 3 + 1], 'page ' || n FROM generate_series(1, 90) n;
    ALTER TABLE diary ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON diary TO iso_user USING (owner = current_setting('request.jwt.claims', true)::json->>'sub');
    GRANT SELECT, UPDATE ON diary TO iso_user, iso_service;
    CREATE FUNCTION told(seconds float8 DEFAULT 0) RETURNS json STABLE LANGUAGE sql AS $$
      SELECT json_build_object('role', current_user, 'claims', current_setting('request.jwt.claims', true)::json,
        'header', current_setting('request.headers', true)::json->>'x-mark',
        'cookie', current_setting('request.cookies', true)::json->>'mark', 'path', current_setting('request.path', true))
      FROM (SELECT CASE WHEN seconds > 0 THEN pg_sleep(seconds) END) AS slept $$;
    CREATE FUNCTION take_on() RETURNS text LANGUAGE plpgsql AS $$ BEGIN SET ROLE iso_service; RETURN current_user; END $$;
"""
CALLERS: tuple[dict[str, str], ...] = (
    {},
    {"role": "iso_user", "sub": "ada"},
    {"role": "iso_user", "sub": "bob"},
    {"role": "iso_service", "sub": "root"},
)


@pytest.fixture(scope="module")
async def served(postgres: PostgresServer, shop_template: str) -> AsyncIterator[Client]:
    dsn = await postgres.create_database(template=shop_template)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(_SCRIPT.encode())
    async with open_client(dsn, RestConfig(schemas=("public",), tx_override=True)) as client:
        yield client
    await postgres.drop_database(dsn)


async def ask(client: Client, claims: dict[str, str], number: int, draw: random.Random) -> None:
    """One request; its answer must be this caller's and this request's alone."""
    role, owner = claims.get("role", "web_anon"), claims.get("sub")
    headers = {"x-mark": str(number), "cookie": f"mark=c{number}"}
    if claims:
        headers["authorization"] = f"Bearer {sign_token(claims, SECRET.decode())}"
    kind = draw.randrange(5)
    if kind <= 1:
        seconds = draw.choice([0, 0, 0.002])
        answer = await client.send("GET", f"/rpc/told?seconds={seconds}", headers=headers)
        seen = answer.json()
        assert (seen["role"], seen["header"], seen["cookie"]) == (role, str(number), f"c{number}")
        assert seen["claims"] == {**claims, "role": role}
    elif kind == 2:
        answer = await client.send("GET", "/diary?select=id,owner", headers=headers)
        check_rows(answer.status, answer.body, role, owner, everything=90)
    elif kind == 3:
        key = draw.randint(1, 90)
        answer = await client.send(
            "PATCH", f"/diary?id=eq.{key}", {"body": f"by {owner}"}, {**headers, "prefer": "return=representation"}
        )
        check_rows(answer.status, answer.body, role, owner, everything=1)
    else:
        answer = await client.send("POST", "/rpc/take_on", {}, headers)
        assert answer.status in (200, 403, 401)


def check_rows(status: int, body: bytes, role: str, owner: str | None, *, everything: int) -> None:
    if role == "web_anon":
        assert status == 401
        return
    assert status == 200
    rows = json.loads(body)
    if role == "iso_service":
        assert len(rows) == everything
    else:
        assert {row["owner"] for row in rows} <= {owner}


async def test_no_caller_meets_another(served: Client) -> None:
    draw = random.Random(20261124)
    outcomes: Counter[str] = Counter()
    numbers = iter(range(REQUESTS))

    async def work() -> None:
        for number in numbers:
            task = asyncio.create_task(ask(served, draw.choice(CALLERS), number, draw))
            if draw.random() < 0.15:
                await asyncio.sleep(draw.choice([0, 0, 0.0005, 0.001]))
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            outcomes["cut off" if task.cancelled() else "answered"] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    assert outcomes["answered"] > REQUESTS / 2
    assert outcomes["cut off"] > REQUESTS / 50
