"""The API backend against nginx as a plain proxy, both in front of the same nginx with a static response of 2 KB.

    .venv/bin/python -m benchmarks.forward [--seconds 3] [--rounds 3]

The API backend: agent token, policy, limits, access log, the project's key. CPU is that of the serving process alone.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from basewarden.core.secret import Secret
from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.migrations.migrate import migrate
from benchmarks.clients import pick_port, read_cpu, run_nginx, wait_for
from benchmarks.load import LoadRequest, apply_load, generator_name

CONNECTIONS = 32
KEY = "sb_secret_0123456789abcdef"
PATH = "/order_items?select=order_id,line_no,product_id,quantity,unit_price&order=order_id,line_no&limit=20"
ACCOUNT = {"email": "load@example.com", "password": "a long walk in the rain"}
ROWS = json.dumps(
    [
        {"order_id": n, "line_no": 1, "product_id": 7, "quantity": 3, "unit_price": 12.5, "x": "y" * 20}
        for n in range(20)
    ]
)
EXPOSED = json.dumps(
    {"code": "PGRST106", "message": "Invalid schema", "hint": "Only the following schemas are exposed: public"}
)
PROJECT = f"""
default_type application/json;
location = /rest/v1/ {{ return 403 '{{"message":"no"}}'; }}
location = /rest/v1/basewarden_probe {{ return 406 '{EXPOSED}'; }}
location = /rest/v1/order_items {{ add_header Content-Range 0-19/*; return 200 '{ROWS}'; }}
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        server = await start_embedded(Path(folder) / "data", progress=lambda _: None)
        try:
            await server.create_database("basewarden")
            await asyncio.to_thread(migrate, Secret(server.dsn("basewarden")))
            project = stack.enter_context(run_nginx(Path(folder) / "project", None, PROJECT))
            hop = stack.enter_context(run_nginx(Path(folder) / "hop", project))
            origin, pid = stack.enter_context(run_product(server, Path(folder)))
            path, token = await connect(origin, project[0])
            data_api = (origin, LoadRequest("GET", path, {"apikey": token}), pid)
            plain = (f"http://127.0.0.1:{hop[0]}", LoadRequest("GET", f"/rest/v1{PATH}", {}), hop[1])
            measure({"nginx": plain, "road": data_api}, options.rounds, options.seconds)
        finally:
            stack.close()
            await server.stop()


def measure(contenders: dict[str, tuple[str, LoadRequest, int]], rounds: int, seconds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, (origin, request, pid) in contenders.items():
            before = read_cpu(pid)
            load = apply_load(origin, request, connections=CONNECTIONS, seconds=seconds)
            if load.errors:
                raise SystemExit(f"{name} answered with errors")
            if number:
                rates[name].append(load.per_second)
                cpu[name].append((read_cpu(pid) - before) / load.requests * 1e6)
    print(f"{CONNECTIONS} connections, load by {generator_name()}, {rounds} rounds of {seconds} s")
    for name in contenders:
        rate, used = statistics.median(rates[name]), statistics.median(cpu[name])
        print(f"{name:<8}{rate:>10,.0f}/s {used:>8,.0f} µs of CPU a request")
    ratio = statistics.median(ours / base for ours, base in zip(rates["road"], rates["nginx"], strict=True))
    print(f"the road does {ratio:.2f} of nginx's plain hop")


async def connect(origin: str, port: int) -> tuple[str, str]:
    """The path to ask for and the agent's token."""
    async with httpx.AsyncClient(base_url=origin, trust_env=False) as person:
        (await person.post("/api/auth/signup", json=ACCOUNT)).raise_for_status()
        (await person.post("/api/auth/signin", json=ACCOUNT)).raise_for_status()
        wanted = {"name": "Load", "url": f"http://127.0.0.1:{port}", "key": KEY}
        made = (await person.post("/api/connections", json=wanted)).raise_for_status().json()
        agent = await person.post(f"/api/connections/{made['id']}/agents", json={"name": "load", "access": "read"})
        return f"/api/v/{made['id']}/rest/v1{PATH}", str(agent.raise_for_status().json()["token"])


@contextmanager
def run_product(server: EmbeddedServer, folder: Path) -> Iterator[tuple[str, int]]:
    origin = f"http://127.0.0.1:{pick_port()}"
    environment = {
        **os.environ,
        "DATABASE_URL": server.dsn("basewarden"),
        "BASEWARDEN_ORIGIN": origin,
        "BASEWARDEN_SECRET": secrets.token_urlsafe(48),
        "BASEWARDEN_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "BASEWARDEN_ALLOW_PRIVATE_ADDRESSES": "1",
        "PYTHONPATH": str(Path(__file__).parents[1] / "src"),
    }
    command = [sys.executable, "-m", "basewarden", "serve", "--port", origin.rpartition(":")[2]]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        wait_for(int(origin.rpartition(":")[2]))
        time.sleep(1)
        yield origin, process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(main())
