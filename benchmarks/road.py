"""The direct road against plain pgbench of the same statements, interleaved in one run. Prints ratios.

    .venv/bin/python -m benchmarks.road [--seconds 5] [--rounds 3]

Read: 20 rows of JSON, 32 connections, through the whole road: agent token, policy, limits, access log.
Write: a journaled update of one row by key; pgbench's side has capture's statements but no journal.
CPU is user and system time of the serving process alone, PostgreSQL's and the load's left out.
"""

import argparse
import asyncio
import base64
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from basewarden.core.secret import Secret
from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.migrate import migrate
from basewarden.demo import set_stage
from benchmarks.load import Request, apply_load, generator_name
from benchmarks.statements import make_script, record_request

CONNECTIONS = 32
ROLE = "service_role"
HIGHEST_ORDER = 14_000
READ_QUERY = "select=order_id,line_no,product_id,quantity,unit_price&order=order_id,line_no&limit=20"
WRITE_QUERY = "order_id=eq.{n}&line_no=eq.1"
MARKER = "7713"  # an order whose number stands nowhere else in a statement's parameters
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Series:
    """One comparison's rounds."""

    ours: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)

    def describe(self, name: str) -> str:
        ratio = statistics.median(ours / base for ours, base in zip(self.ours, self.baseline, strict=True))
        ours, base = statistics.median(self.ours), statistics.median(self.baseline)
        cpu = statistics.median(self.cpu)
        return f"{name:<28}{ours:>10,.0f}{base:>12,.0f}{ratio:>9.2f}{cpu:>12,.0f}"


@dataclass(frozen=True)
class Bench:
    server: EmbeddedServer
    shop_dsn: str
    origin: str
    api: str
    token: str
    pid: int

    def request(self, method: str, path: str, query: str, body: str = "", highest: int = 1) -> Request:
        headers = {"apikey": self.token, "Content-Type": "application/json"}
        base = self.api.removeprefix(self.origin)
        return Request(method, f"{base}/rest/v1{path}?{query}", headers, body, highest)


async def main() -> None:
    options = _parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serve_shop(Path(folder) / "data") as bench:
            reads, writes = Series(), Series()
            read_script = await _read_script(bench)
            write_script = await _write_script(bench)
            read = bench.request("GET", "/order_items", READ_QUERY)
            write = bench.request("PATCH", "/order_items", WRITE_QUERY, '{"discount": "0.10"}', HIGHEST_ORDER)
            for number in range(options.rounds + 1):
                _round(bench, read, read_script, reads, options.seconds, counts=number > 0)
                _round(bench, write, write_script, writes, options.seconds, counts=number > 0)
    print(f"\n{CONNECTIONS} connections, load by {generator_name()}, {options.rounds} rounds of {options.seconds} s")
    print(f"{'':<28}{'road /s':>10}{'pgbench /s':>12}{'ratio':>9}{'CPU µs/req':>12}")
    print(reads.describe("read, 20 rows of JSON"))
    print(writes.describe("journaled update of one row"))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not")
    return parser.parse_args()


def _round(bench: Bench, request: Request, script: str, series: Series, seconds: int, *, counts: bool) -> None:
    before = _cpu_seconds(bench.pid)
    load = apply_load(bench.origin, request, connections=CONNECTIONS, seconds=seconds)
    cpu = _cpu_seconds(bench.pid) - before
    baseline = _run_pgbench(bench.shop_dsn, script, seconds)
    print(
        f"{request.method} {load.per_second:,.0f}/s ({load.errors} errors), pgbench {baseline:,.0f}/s", file=sys.stderr
    )
    if load.errors:
        raise SystemExit("the road answered with errors: nothing was measured")
    if counts:
        series.ours.append(load.per_second)
        series.cpu.append(cpu / load.requests * 1e6)
        series.baseline.append(baseline)


async def _read_script(bench: Bench) -> str:
    trips = await record_request(bench.shop_dsn, ROLE, "GET", "/order_items", READ_QUERY, {})
    return make_script(trips, {})


async def _write_script(bench: Bench) -> str:
    """Recorded with one order's number, which gives way to a random one."""
    headers = {"content-type": "application/json"}
    query = WRITE_QUERY.replace("{n}", MARKER)
    trips = await record_request(bench.shop_dsn, ROLE, "PATCH", "/order_items", query, headers, b'{"discount": "0.10"}')
    return make_script(trips, {MARKER: "n"}, setup=f"\\set n random(1, {HIGHEST_ORDER})")


def _run_pgbench(dsn: str, script: str, seconds: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = ["pgbench", "-n", "-M", "prepared", f"-c{CONNECTIONS}", "-j1", f"-T{seconds}", "-f", file.name, dsn]
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"pgbench failed: {finished.stderr[-2000:]}")
    return next(float(line.split()[2]) for line in finished.stdout.splitlines() if line.startswith("tps"))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@asynccontextmanager
async def serve_shop(data_dir: Path) -> AsyncIterator[Bench]:
    """The product as a process of its own, on a PostgreSQL of its own, with the demo's shop."""
    server = await start_embedded(data_dir, progress=_say)
    await server.create_database("basewarden")
    await asyncio.to_thread(migrate, Secret(server.dsn("basewarden")))
    origin = f"http://127.0.0.1:{secrets.choice(range(20_000, 32_000))}"
    with (data_dir / "serve.log").open("wb") as log:
        process = subprocess.Popen(_serve_command(origin), env=_environment(server, origin), stderr=log)
    try:
        await _wait_until_up(origin, process)
        stage = await set_stage(origin, server.dsn("postgres"), data_dir, _say)
        token = await _make_agent(stage.person, stage.connection_id)
        yield Bench(server, stage.shop_dsn.reveal(), origin, stage.api, token, process.pid)
    finally:
        process.terminate()
        process.wait()
        await server.stop()


async def _make_agent(person: httpx.AsyncClient, connection_id: str) -> str:
    wanted = {"name": "load", "access": "write", "dbRole": ROLE, "maxWritesPerSession": 2_000_000_000}
    answer = await person.post(f"/api/connections/{connection_id}/agents", json=wanted)
    return str(answer.raise_for_status().json()["token"])


def _serve_command(origin: str) -> list[str]:
    return [sys.executable, "-m", "basewarden", "serve", "--port", origin.rpartition(":")[2]]


def _environment(server: EmbeddedServer, origin: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": server.dsn("basewarden"),
        "BASEWARDEN_ORIGIN": origin,
        "BASEWARDEN_SECRET": secrets.token_urlsafe(48),
        "BASEWARDEN_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "BASEWARDEN_ALLOW_PRIVATE_ADDRESSES": "1",
        "PYTHONPATH": str(Path(__file__).parents[1] / "src"),
    }


async def _wait_until_up(origin: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                await client.get(f"{origin}/signin")
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
            else:
                return
    raise SystemExit("the product did not start")


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
