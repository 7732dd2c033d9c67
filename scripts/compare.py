"""Sends the same generated requests to PostgREST and to ours: `python scripts/compare.py POSTGREST [--requests 2000]`.

Needs PostgREST's binary (version 14). Everything is rolled back. Prints each kind of difference once, with the request
that showed it and the number of times it occurred.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from basewarden.db.embedded import start_embedded
from benchmarks.servers import pick_origin, running
from tests.pgrest import hostile
from tests.pgrest.conftest import SHOP

_HEADERS = ("content-range", "content-type", "location", "preference-applied", "content-location", "allow")
_CONFIG = (
    'db-schemas = "public"\ndb-anon-role = "web_anon"\ndb-tx-end = "rollback"\ndb-aggregates-enabled = true\n'
    'db-plan-enabled = false\nlog-level = "crit"\nserver-host = "127.0.0.1"\n'
)
bodies = st.one_of(
    st.builds(json.dumps, st.one_of(hostile.objects, st.lists(hostile.objects, max_size=3))), hostile.values
).map(lambda text: text.encode("utf-8", "replace"))


def main() -> None:
    options = _parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        asyncio.run(_run(folder, options))


async def _run(folder: Path, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        server = await start_embedded(folder / "data", progress=print)
        try:
            dsn = server.dsn("postgres")
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
                await conn.execute(SHOP.encode())
                await conn.execute("ANALYZE")
            ours = [sys.executable, "-m", "basewarden", "rest"]
            origins = [
                _serve(stack, folder, dsn, command, label)
                for label, command in (("original", [options.postgrest]), ("ours", ours))
            ]
            await asyncio.to_thread(_compare, origins[0], origins[1], options.requests)
        finally:
            await server.stop()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("postgrest", help="the original's binary")
    parser.add_argument("--requests", type=int, default=2000)
    return parser.parse_args()


def _serve(stack: ExitStack, folder: Path, dsn: str, command: Sequence[str], label: str) -> str:
    origin = pick_origin()
    file = folder / f"{label}.conf"
    file.write_text(f'db-uri = "{dsn}"\nserver-port = {urlsplit(origin).port}\n{_CONFIG}')
    stack.enter_context(running([*command, str(file)], origin, "/customers", folder / f"{label}.log", {}))
    return origin


def _compare(original: str, ours: str, requests: int) -> None:
    kinds: Counter[str] = Counter()
    same = 0

    @settings(
        max_examples=requests,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile.methods, hostile.paths, hostile.queries, hostile.headers, bodies)
    def ask(method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        nonlocal same
        target = f"{hostile.encode_path(path)}?{query}"
        sent = dict(headers) if all(value.isascii() and value.isprintable() for _, value in headers) else {}
        answers = [_ask(client, method, target, sent, body) for client in (one, other)]
        difference = _describe(*answers)
        if difference is None:
            same += 1
            return
        kinds[difference] += 1
        if kinds[difference] == 1:
            shown = f"{method} {unquote(path)}?{unquote(query)} {sent} {body[:200]!r}"
            print(f"\n{difference}\n  {shown}\n  original {answers[0]}\n  ours     {answers[1]}", flush=True)

    with (
        httpx.Client(base_url=original, trust_env=False, timeout=30) as one,
        httpx.Client(base_url=ours, trust_env=False, timeout=30) as other,
    ):
        ask()
    print(f"\n{same} of {requests} the same; differences:")
    for kind, count in kinds.most_common():
        print(f"{count:6} {kind}")


Answer = tuple[int, dict[str, str], Any]


def _ask(client: httpx.Client, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = {"content-type": "application/json", **headers}
    content = body if method in ("POST", "PATCH", "PUT") else None
    try:
        answer = client.request(method, target, headers=sent, content=content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return 0, {}, type(error).__name__
    shown = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    try:
        text = answer.json()
    except ValueError:
        text = answer.text
    return answer.status_code, shown, text


def _describe(original: Answer, ours: Answer) -> str | None:
    """None if they are equal. The kind of an error is its code and the part of it that differs."""
    if original == ours:
        return None
    if original[0] != ours[0]:
        return f"status {original[0]} {_code(original)} / {ours[0]} {_code(ours)}"
    if original[2] != ours[2]:
        if isinstance(original[2], dict) and isinstance(ours[2], dict):
            parts = [name for name in original[2] if original[2].get(name) != ours[2].get(name)]
            return f"{original[0]} {_code(original)}: body differs in {parts[:4]}"
        return f"{original[0]}: body"
    return f"{original[0]}: headers {sorted(set(original[1].items()) ^ set(ours[1].items()))[:2]}"


def _code(answer: Answer) -> str:
    return str(answer[2].get("code", "")) if isinstance(answer[2], dict) else ""


if __name__ == "__main__":
    main()
