"""A hostile project beside an honest one: what its own callers receive, and how it affects other callers.

    .venv/bin/python -m benchmarks.hostile [--only silent,bomb] [--at-once 3]

The hostile project is reached by its database and by its API (`tests/fakes/hostile_postgres.py`, `hostile_rest.py`),
each a process of its own that does one harmful thing for every request that names it; some it does while it is being
connected, some when it describes itself. An agent sends requests with a timeout of seconds. Meanwhile another person's
agent reads the demo's shop. Ends with 1 where memory, stalls, latency or an answer is not as it must be: see the
limits in `watching.py`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from benchmarks.servers import Shop, print_line, serve_shop
from benchmarks.watching import find_problems, observing
from tests.fakes.hostile_messages import AT_START, IN_ANSWERS
from tests.fakes.hostile_rest import BEHAVIOURS

ASKER_SECONDS = 9.0
ENOUGH_BYTES = 4_000_000
QUERY_SECONDS = 3
IDLE_SECONDS = 15
BACK_SECONDS = 5
KEY = "sb_secret_0123456789abcdef0123"
PASSWORD = "a long walk in the rain"  # noqa: S105 - of accounts that end with the run
HONEST = (
    "/order_items?select=order_id,line_no,quantity&order=order_id,line_no&limit=20",
    "/customers?select=id,full_name,orders(id,status)&order=id&limit=5",
    "/products?select=id,name&limit=5",
)
CALLED = (
    "redirect", "page", "switching", "two_framings", "reset_at_once", "more_than_said", "evil_headers", "status_999",
    "no_content_with_one", "half_a_head",
)  # fmt: skip
AT_PROBE = ("endless_rows", "huge_row", "silent", "rows_that_are_no_json")
RUNNING_TYPES = ("html", "javascript", "svg", "xml", "css")
_NICER = 9


@dataclass(frozen=True)
class HostileCase:
    """`turn` is asked first: from then on the server there means harm."""

    name: str
    client: httpx.AsyncClient
    method: str
    path: str
    json: Any = None
    turn: str = ""


@dataclass(frozen=True)
class Answered:
    """`status` is None where the asker gave up, 0 where the connection ended; `wrong` says what must not be."""

    name: str
    status: int | None
    code: str
    seconds: float
    wrong: str = ""


@dataclass(frozen=True)
class Enemy:
    """The hostile tenant: who asks, and where. `prober` is an account of its own, since probes are limited for each."""

    person: httpx.AsyncClient
    prober: httpx.AsyncClient
    agent: httpx.AsyncClient
    api_agent: httpx.AsyncClient
    database_path: str
    api_path: str
    descriptions: dict[str, str]
    ports: dict[str, int]
    dsn: str


async def main() -> int:
    options = _parse_arguments()
    os.environ["BASEWARDEN_AGENT_QUERY_SECONDS"] = str(QUERY_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serve_shop(Path(folder) / "data") as shop, _open_enemy(shop) as enemy:
            token = await shop.make_agent()
            honest = [f"{shop.path}{path}" for path in HONEST]
            with observing(shop.origin, shop.pid, honest, token) as observer:
                await asyncio.sleep(3)
                observer.enter("before")
                await asyncio.sleep(IDLE_SECONDS)
                observer.enter("during")
                answered = await _ask_all(_list_cases(enemy, options.only), options.at_once)
                observer.enter("after")
                await asyncio.sleep(BACK_SECONDS)
                answered.append(
                    await _ask(
                        HostileCase("a good request afterwards", enemy.agent, "GET", f"{enemy.database_path}/notes")
                    )
                )
                seen = observer.finish()
            if options.log:
                shutil.copy(shop.data_dir / "serve.log", options.log)
            for one in answered:
                print(_describe(one))
            print(f"\n{len(answered)} cases")
            wrong = find_problems(seen, before="before", during="during", after="after")
            wrong += [f"{one.name}: {one.wrong}" for one in answered if one.wrong]
            wrong += [] if answered[-1].status == 200 else ["the project does not work afterwards"]
            for text in wrong:
                print(f"FAILED: {text}")
            return 1 if wrong else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="words in names of cases")
    parser.add_argument("--log", default="", help="where to keep the product's log")
    parser.add_argument("--at-once", type=int, default=3, help="cases that are asked at the same time")
    return parser.parse_args()


# The hostile project ----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _open_enemy(shop: Shop) -> AsyncIterator[Enemy]:
    real = await _make_database(shop)
    port = urlsplit(real).port
    async with contextlib.AsyncExitStack() as stack:
        postgres = stack.enter_context(_run_fake("tests.fakes.hostile_postgres", "silent", str(port)))
        ports: dict[str, int] = json.loads(stack.enter_context(_run_fake("tests.fakes.hostile_rest")))
        dsn = real.replace(f":{port}/", f":{int(postgres)}/")
        person, prober = [await _sign_up(stack, shop.origin, name) for name in ("hostile", "prober")]
        by_database = await _connect(person, {"postgresUrl": dsn})
        by_api, *others = [
            await _connect(person, {"url": f"http://127.0.0.1:{one}", "key": KEY}) for one in ports.values()
        ]
        agent, api_agent = [await _make_agent(stack, person, one) for one in (by_database, by_api)]
        path, api_path = [f"/api/v/{one}/rest/v1" for one in (by_database, by_api)]
        descriptions = dict(zip(list(ports)[1:], others, strict=True))
        yield Enemy(person, prober, agent, api_agent, path, api_path, descriptions, ports, dsn)


async def _sign_up(stack: contextlib.AsyncExitStack, origin: str, name: str) -> httpx.AsyncClient:
    person = httpx.AsyncClient(base_url=origin, timeout=60, trust_env=False)
    await stack.enter_async_context(person)
    account = {"email": f"{name}@basewarden.example", "password": PASSWORD}
    (await person.post("/api/auth/signup", json=account)).raise_for_status()
    (await person.post("/api/auth/signin", json=account)).raise_for_status()
    return person


async def _make_agent(
    stack: contextlib.AsyncExitStack, person: httpx.AsyncClient, connection_id: str
) -> httpx.AsyncClient:
    made = await person.post(f"/api/connections/{connection_id}/agents", json={"name": "hostile", "access": "write"})
    headers = {"apikey": str(made.raise_for_status().json()["token"])}
    agent = httpx.AsyncClient(base_url=person.base_url, headers=headers, timeout=60, trust_env=False)
    return await stack.enter_async_context(agent)


async def _make_database(shop: Shop) -> str:
    await shop.postgres.create_database("hostile")
    dsn = shop.postgres.dsn("hostile")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text); ")
        await conn.execute("INSERT INTO notes SELECT n, n::text FROM generate_series(1, 10) AS n")
    return dsn


async def _connect(person: httpx.AsyncClient, wanted: dict[str, str]) -> str:
    made = await person.post("/api/connections", json={"name": "hostile", **wanted})
    if made.is_error:
        raise SystemExit(f"the product does not connect: {made.text}")
    return str(made.json()["id"])


@contextlib.contextmanager
def _run_fake(module: str, *arguments: str) -> Iterator[str]:
    """Its first line. Elsewhere it would have processors of its own, so here it takes those that are left."""
    command = ["nice", "-n", str(_NICER), sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
    finally:
        process.kill()
        process.wait()


# Asking -----------------------------------------------------------------------------------------------------


def _list_cases(enemy: Enemy, only: list[str]) -> list[HostileCase]:
    cases = [*_list_database_cases(enemy), *_list_api_cases(enemy)]
    return [case for case in cases if not only or any(word in case.name for word in only)]


def _list_database_cases(enemy: Enemy) -> Iterator[HostileCase]:
    for mode in (*AT_START, *AT_PROBE):
        address = enemy.dsn.replace("/hostile", f"/harm.{mode}")
        wanted = {"name": mode, "postgresUrl": address}
        yield HostileCase(f"database, connected: {mode}", enemy.prober, "POST", "/api/connections", wanted)
    for mode in IN_ANSWERS:
        yield HostileCase(f"database: {mode}", enemy.agent, "GET", f"{enemy.database_path}/notes?body=eq.harm.{mode}")


def _list_api_cases(enemy: Enemy) -> Iterator[HostileCase]:
    for name in BEHAVIOURS:
        yield HostileCase(f"API: {name}", enemy.api_agent, "GET", f"{enemy.api_path}/notes?body=eq.harm.{name}")
    for name in CALLED:
        yield HostileCase(f"API, called: {name}", enemy.api_agent, "POST", f"{enemy.api_path}/rpc/harm.{name}", {})
    for name, port in enemy.ports.items():
        if name:
            path = f"/api/v/{enemy.descriptions[name]}/introspect"
            yield HostileCase(
                f"API, described: {name}", enemy.person, "GET", path, turn=f"http://127.0.0.1:{port}/turn"
            )


async def _ask_all(cases: list[HostileCase], at_once: int) -> list[Answered]:
    waiting, answered = cases[::-1], []

    async def work() -> None:
        while waiting:
            case = waiting.pop()
            answered.append(await _ask(case))
            print_line(f"{len(answered)} of {len(cases)}: {_describe(answered[-1])}")

    await asyncio.gather(*(work() for _ in range(at_once)))
    return sorted(answered, key=lambda one: one.name)


async def _ask(case: HostileCase) -> Answered:
    if case.turn:
        async with httpx.AsyncClient(trust_env=False) as own:
            await own.get(case.turn)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(ASKER_SECONDS):
            status, code, wrong = await _read_answer(case)
    except TimeoutError:
        status, code, wrong = None, "", ""
    except httpx.TransportError as error:
        status, code, wrong = 0, type(error).__name__, ""
    return Answered(case.name, status, code, time.perf_counter() - started, wrong)


async def _read_answer(case: HostileCase) -> tuple[int, str, str]:
    """Of a large answer the asker reads the start and leaves."""
    body = bytearray()
    async with case.client.stream(case.method, case.path, json=case.json) as answer:
        wrong = _find_wrong(answer)
        try:
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > ENOUGH_BYTES:
                    return answer.status_code, f"left after {len(body) / 1e6:.0f} MB", wrong
        except httpx.TransportError as error:
            return answer.status_code, f"then cut off ({type(error).__name__})", wrong
    return answer.status_code, _find_code(answer, bytes(body)), wrong


def _find_code(answer: httpx.Response, body: bytes) -> str:
    if answer.status_code < 400:
        return f"{len(body)} bytes"
    try:
        return repr(json.loads(body).get("code"))[1:-1]
    except (ValueError, AttributeError):
        return "not our error"


def _find_wrong(answer: httpx.Response) -> str:
    """What of the project's must never go out under our origin."""
    headers = [f"{name}: {value}" for name, value in answer.headers.multi_items()]
    found = [line for line in headers if "hostile" in line.lower()]
    kind = answer.headers.get("content-type", "")
    is_data = answer.headers.get("content-security-policy", "").startswith("sandbox; default-src 'none'")
    is_data = is_data and answer.headers.get("content-disposition") == "attachment"
    if any(word in kind for word in RUNNING_TYPES) and not is_data:
        found.append(f"content-type: {kind}")
    if answer.headers.get("x-content-type-options") != "nosniff" or not answer.headers.get("x-request-id"):
        found.append("it lacks our own headers")
    if answer.status_code in (0, 101) or answer.has_redirect_location:
        found.append(f"status {answer.status_code}")
    return "; ".join(found)[:300]


def _describe(one: Answered) -> str:
    status = "gave up" if one.status is None else str(one.status)
    return f"{one.name:<44} {status:>8} {one.seconds:>6.1f} s  {one.code}{'  WRONG: ' + one.wrong if one.wrong else ''}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
