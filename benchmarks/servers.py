"""The servers that are measured beside each other, each a process of its own on one PostgreSQL with the demo's shop."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from basewarden.core.secret import Secret
from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.migrations.migrate import migrate
from basewarden.demo import prepare_demo_data
from benchmarks.cases import ROLE, Case
from benchmarks.load import LoadRequest

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_WAIT_SECONDS = 60
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Target:
    """`pids` are the processes that serve, PostgreSQL's left out; their children count with them."""

    name: str
    origin: str
    path: str
    headers: Mapping[str, str]
    pids: tuple[int, ...]

    def request(self, case: Case) -> LoadRequest:
        headers = {"Content-Type": "application/json", **self.headers}
        return LoadRequest(case.method, self.path + case.path, headers, case.body, case.highest)

    def cpu_seconds(self) -> float:
        return sum(read_cpu(pid) for pid in list_family(self.pids))

    def resident_bytes(self) -> int:
        return sum(_read_resident(pid) for pid in list_family(self.pids))


@dataclass(frozen=True)
class Shop:
    """The product with the shop, before anything else is started beside it."""

    postgres: EmbeddedServer
    data_dir: Path
    dsn: str
    origin: str
    connection_id: str
    person: httpx.AsyncClient
    pid: int
    settings: Mapping[str, str]

    @property
    def path(self) -> str:
        return f"/api/v/{self.connection_id}/rest/v1"

    async def make_agent(self, connection_id: str | None = None, db_role: str | None = ROLE) -> str:
        """A token for load."""
        wanted = {"name": "load", "access": "write", "maxWritesPerSession": 2_000_000_000, "maxRowsPerWrite": 20_000}
        role = {} if db_role is None else {"dbRole": db_role}
        made = await self.person.post(
            f"/api/connections/{connection_id or self.connection_id}/agents", json={**wanted, **role}
        )
        return str(made.raise_for_status().json()["token"])

    def postgres_cpu(self) -> float:
        file = self.data_dir / "postgres" / "data" / "postmaster.pid"
        postmaster = int(file.read_text().splitlines()[0])
        return sum(read_cpu(pid, with_dead=True) for pid in list_family([postmaster]))


def pick_origin() -> str:
    """A port below those that outgoing connections take."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def serve_shop(data_dir: Path, workers: int = 1, more: Mapping[str, str] | None = None) -> AsyncIterator[Shop]:
    """Basewarden on a PostgreSQL of its own, with the demo's shop."""
    server = await start_embedded(data_dir, progress=print_line)
    try:
        await server.create_database("basewarden")
        await asyncio.to_thread(migrate, Secret(server.dsn("basewarden")))
        origin = pick_origin()
        command = [*_basewarden(), "serve", "--port", str(urlsplit(origin).port), "--workers", str(workers)]
        settings = {**_product_settings(server, origin), **(more or {})}
        with running(command, origin, "/signin", data_dir / "serve.log", settings) as pid:
            data = await prepare_demo_data(origin, server.dsn("postgres"), data_dir, print_line)
            yield Shop(server, data_dir, data.shop_dsn.reveal(), origin, data.connection_id, data.person, pid, settings)
    finally:
        await server.stop()


def _product_settings(server: EmbeddedServer, origin: str) -> dict[str, str]:
    return {
        "DATABASE_URL": server.dsn("basewarden"),
        "BASEWARDEN_ORIGIN": origin,
        "BASEWARDEN_SECRET": secrets.token_urlsafe(48),
        "BASEWARDEN_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "BASEWARDEN_ALLOW_PRIVATE_ADDRESSES": "1",
        "BASEWARDEN_AGENT_REQUESTS_PER_MINUTE": "100000000",
    }


# What stands beside the product ---------------------------------------------------------------------------


@contextmanager
def serve_rest(shop: Shop, folder: Path) -> Iterator[tuple[Target, str]]:
    """`basewarden rest` on the shop, and a key that it takes for the service role's."""
    with _serve_postgrest(shop, folder, "rest", [*_basewarden(), "rest"]) as found:
        yield found


@contextmanager
def serve_original(shop: Shop, folder: Path, binary: str) -> Iterator[tuple[Target, str]]:
    """The real PostgREST, where there is one."""
    with _serve_postgrest(shop, folder, "PostgREST", [binary]) as found:
        yield found


@contextmanager
def _serve_postgrest(shop: Shop, folder: Path, name: str, command: list[str]) -> Iterator[tuple[Target, str]]:
    secret, origin = secrets.token_urlsafe(48), pick_origin()
    settings = {
        "db-uri": shop.dsn,
        "db-schemas": "public",
        "db-pool": "16",
        "jwt-secret": secret,
        "server-host": "127.0.0.1",
        "server-port": str(urlsplit(origin).port),
        "log-level": "error",
    }
    file = folder / f"{name}.conf"
    file.write_text("".join(f'{key} = "{value}"\n' for key, value in settings.items()))
    key = sign_token({"role": ROLE}, secret)
    with running([*command, str(file)], origin, "/", folder / f"{name}.log", {}) as pid:
        yield Target(name, origin, "", {"Authorization": f"Bearer {key}"}, (pid,)), key


@contextmanager
def serve_beside(shop: Shop, folder: Path, checkout: Path = _ROOT) -> Iterator[tuple[str, int]]:
    """One more process of the product on the same database, from this checkout or another; its origin and id."""
    origin = pick_origin()
    command = [*_basewarden(), "serve", "--port", str(urlsplit(origin).port)]
    settings = {**shop.settings, "BASEWARDEN_ORIGIN": origin, "PYTHONPATH": str(checkout / "src")}
    with running(command, origin, "/signin", folder / f"beside-{urlsplit(origin).port}.log", settings) as pid:
        yield origin, pid


@contextmanager
def serve_nginx(behind: Target, folder: Path) -> Iterator[Target]:
    """A plain hop with connections that are kept open."""
    program = shutil.which("nginx")
    if program is None:
        raise SystemExit("nginx is not installed")
    origin = pick_origin()
    paths = " ".join(
        f"{kind}_temp_path {folder}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        f"events {{ worker_connections 2048; }}\n"
        f"http {{ access_log off; keepalive_requests 1000000; {paths}\n"
        f"upstream rest {{ server {urlsplit(behind.origin).netloc}; keepalive 64; keepalive_requests 1000000; }}\n"
        f"server {{ listen {urlsplit(origin).netloc}; location / {{ proxy_pass http://rest; proxy_http_version 1.1;\n"
        f'proxy_set_header Connection ""; client_max_body_size 0; }} }} }}\n'
    )
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, origin, "/", folder / "nginx.out", {}) as pid:
        yield Target("nginx", origin, "", behind.headers, (pid,))


async def make_forward(shop: Shop, rest: Target, key: str) -> Target:
    """The product in front of `basewarden rest`, of which it knows the address and a key."""
    wanted = {"name": "forward", "url": rest.origin, "key": key}
    made = await shop.person.post("/api/connections", json=wanted)
    if made.is_error:
        raise SystemExit(f"the product does not connect: {made.text}")
    connection_id = str(made.json()["id"])
    token = await shop.make_agent(connection_id, db_role=None)
    return Target("forward", shop.origin, f"/api/v/{connection_id}/rest/v1", {"apikey": token}, (shop.pid,))


async def list_product_targets(shop: Shop) -> list[Target]:
    """The whole road as an agent takes it, and as a person does."""
    token = await shop.make_agent()
    name, value = next((name, value) for name, value in shop.person.cookies.items() if "session-token" in name)
    await shop.person.patch(f"/api/connections/{shop.connection_id}", json={"dbRole": ROLE})
    return [
        Target("token", shop.origin, shop.path, {"apikey": token}, (shop.pid,)),
        Target("cookie", shop.origin, shop.path, {"Cookie": f"{name}={quote(value)}"}, (shop.pid,)),
    ]


def sign_token(claims: Mapping[str, str], secret: str) -> str:
    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    signed = f"{encode(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


# Processes ------------------------------------------------------------------------------------------------


def _basewarden() -> list[str]:
    return [sys.executable, "-m", "basewarden"]


@contextmanager
def running(command: list[str], origin: str, path: str, log: Path, settings: Mapping[str, str]) -> Iterator[int]:
    """The process id, once it answers."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "src"), **settings}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        _wait_until_up(f"{origin}{path}", process, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(address).status_code < 500:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise SystemExit(f"{process.args!r} did not start: {log.read_text()[-2000:]}")


def list_family(pids: Iterator[int] | tuple[int, ...] | list[int]) -> list[int]:
    """These processes and all that they started."""
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        found.append(pid)
        waiting += map(int, children)
    return found


def read_cpu(pid: int, *, with_dead: bool = False) -> float:
    """User and system seconds; `with_dead` adds those of children that have ended. One that has ended itself: none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_dead else 13])) / TICK


def _read_resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def print_line(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
