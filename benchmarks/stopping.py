"""The kill switch: how long after the press the last statement of an agent runs, in two processes.

    .venv/bin/python -m benchmarks.stopping [--rounds N] [--clients N]

Clients of two agents, half of them at each of two processes, read and write slowly, each by a statement that would take
a minute: one agent reads and the other writes, because an agent has a share of the connections. A member freezes all
agents of the connection at the first process. Measured are the answer to the press, the moment at which the project's
database runs no statement of theirs, and after the release the first answer by the other process. The unit is one read
of a row by an agent while nothing else runs. Nothing may be written.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from benchmarks.cases import ROLE
from benchmarks.servers import Shop, print_line, serve_beside, serve_shop

LIMIT_SECONDS = 0.5
_IDLE_READS = 50
_WAIT_SECONDS = 20
_TABLES = f"""
    CREATE TABLE bench_stops (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
    CREATE FUNCTION bench_sleep(s float) RETURNS int LANGUAGE plpgsql STABLE AS
        'BEGIN PERFORM pg_sleep(s); RETURN 1; END';
    CREATE FUNCTION bench_wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.body = ''slow'' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END';
    CREATE TRIGGER bench_wait BEFORE INSERT ON bench_stops FOR EACH ROW EXECUTE FUNCTION bench_wait();
    INSERT INTO bench_stops (body) VALUES ('first');
    GRANT SELECT, INSERT ON bench_stops TO {ROLE};
"""
_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND state = 'active'"


@dataclass(frozen=True)
class Press:
    """Seconds from the press, and from the release to the first answer."""

    answered: float
    stopped: float
    released: float


async def main() -> None:
    options = _parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with serve_shop(folder / "data") as shop:
            with serve_beside(shop, folder) as (other, _):
                failed = await _measure(shop, other, options)
    for text in failed:
        print(f"FAILED: {text}")
    raise SystemExit(bool(failed))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds that count, after one that does not")
    parser.add_argument("--clients", type=int, default=32, help="of which each process gets half")
    return parser.parse_args()


async def _measure(shop: Shop, other: str, options: argparse.Namespace) -> list[str]:
    reader, writer = {"apikey": await shop.make_agent()}, {"apikey": await shop.make_agent()}
    limits = httpx.Limits(max_connections=options.clients + 4)
    async with (
        await psycopg.AsyncConnection.connect(shop.dsn, autocommit=True) as database,
        httpx.AsyncClient(base_url=shop.origin, headers=reader, trust_env=False, timeout=90, limits=limits) as first,
        httpx.AsyncClient(base_url=other, headers=reader, trust_env=False, timeout=90, limits=limits) as second,
    ):
        await database.execute(_TABLES.encode())
        await asyncio.sleep(2)  # both processes read the schema again
        idle = await _measure_idle(shop, second)
        presses = [
            await _press(shop, database, (first, second), writer, options.clients) for _ in range(options.rounds + 1)
        ]
        rows = await (await database.execute("SELECT count(*) FROM bench_stops WHERE body = 'slow'")).fetchone()
    _print(presses[1:], idle, options.clients)
    failed = [] if rows == (0,) else [f"{rows} rows were written"]
    slowest = max(press.stopped for press in presses[1:])
    return failed if slowest < LIMIT_SECONDS else [*failed, f"a statement ran for {slowest:.2f} s after the press"]


async def _measure_idle(shop: Shop, client: httpx.AsyncClient) -> float:
    times = []
    for _ in range(_IDLE_READS):
        began = time.perf_counter()
        (await client.get(f"{shop.path}/bench_stops?id=eq.1")).raise_for_status()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _press(
    shop: Shop,
    database: psycopg.AsyncConnection,
    clients: Sequence[httpx.AsyncClient],
    writer: Mapping[str, str],
    count: int,
) -> Press:
    running = [asyncio.create_task(_ask(shop, clients[number % 2], writer, number)) for number in range(count)]
    await _wait_for(database, count)
    path = f"/api/connections/{shop.connection_id}/freeze"
    began = time.perf_counter()
    answered: list[float] = []
    pressing = asyncio.create_task(shop.person.post(path, json={"reason": "a measurement"}))
    pressing.add_done_callback(lambda _: answered.append(time.perf_counter() - began))
    await _wait_for(database, 0)
    stopped = time.perf_counter() - began
    (await pressing).raise_for_status()
    codes = {answer.json()["code"] for answer in await asyncio.gather(*running)}
    if codes != {"connection_frozen"}:
        raise SystemExit(f"answers: {codes}")
    return Press(answered[0], stopped, await _release(shop, path, clients[1]))


async def _ask(shop: Shop, client: httpx.AsyncClient, writer: Mapping[str, str], number: int) -> httpx.Response:
    """Two of each four read, by turns at both processes."""
    if number % 4 < 2:
        return await client.get(f"{shop.path}/rpc/bench_sleep?s=60")
    return await client.post(f"{shop.path}/bench_stops", json={"body": "slow"}, headers=writer)


async def _wait_for(database: psycopg.AsyncConnection, count: int) -> None:
    """Asks without a pause."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while await (await database.execute(_RUNNING)).fetchone() != (count,):
            pass


async def _release(shop: Shop, path: str, client: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    (await shop.person.request("DELETE", path, json={"reason": "measured"})).raise_for_status()
    while (await client.get(f"{shop.path}/bench_stops?id=eq.1")).is_error:
        await asyncio.sleep(0.001)
    return time.perf_counter() - began


def _print(presses: Sequence[Press], idle: float, clients: int) -> None:
    print_line(f"{clients} clients at two processes, {len(presses)} presses; one idle read takes {idle * 1000:.1f} ms")
    for name, title in (
        ("answered", "the press is answered"),
        ("stopped", "no statement runs"),
        ("released", "after the release the other process answers"),
    ):
        times = sorted(getattr(press, name) for press in presses)
        middle = statistics.median(times)
        ratio = f"{middle / idle:.1f} idle reads"
        print_line(f"{title}: median {middle * 1000:.0f} ms ({ratio}), {times[-1] * 1000:.0f} ms at most")


if __name__ == "__main__":
    asyncio.run(main())
