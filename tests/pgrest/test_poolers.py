"""`basewarden rest` behind PgBouncer: detected by its behaviour, served without prepared statements where it must."""

import asyncio
from pathlib import Path

import pytest

from pgrest import RestConfig
from tests.fixtures.pgbouncer import run_pgbouncer
from tests.pgrest.conftest import open_client


@pytest.mark.parametrize(("mode", "size"), [("transaction", 3), ("transaction", 1), ("session", 20)])
async def test_everything_works_behind_it(shop: str, data_dir: Path, mode: str, size: int) -> None:
    async with (
        run_pgbouncer(shop, data_dir.parent, mode, size=size) as dsn,
        open_client(dsn, RestConfig(schemas=("public",), tx_override=True)) as client,
    ):

        async def ask(number: int) -> None:
            found = await client.get(f"/customers?id=eq.{number % 3 + 1}&select=id,orders!customer_id(id)")
            assert [row["id"] for row in found.json()] == [number % 3 + 1]
            answer = await client.get("/rpc/whoami", **{"x-mark": str(number)})
            assert answer.json()["user"] == "web_anon"
            body = {"body": f"note {number}"}
            assert (await client.post("/notes", body, prefer="return=minimal")).status == 201

        await asyncio.gather(*(ask(number) for number in range(40)))
        counted = await client.get("/notes?select=body&limit=1", prefer="count=exact")
        assert counted.headers["content-range"] == "0-0/43"
