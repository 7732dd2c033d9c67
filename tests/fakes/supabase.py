"""A Supabase as its clients meet it: a gateway that knows keys, and PostgREST's contract behind it.

The contract is our own implementation of it, one server for each project's database. Projects share one address and
lie under paths of their own, as self-hosted ones may.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from pgrest.server import RestServer
from pgrest.settings import load_settings
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving

_BROWSERS = ("Mozilla/", "Chrome/", "Safari/")
_REST = "/rest/v1"
_NO_KEY = {"message": "No API key found in request", "hint": "No `apikey` request header or url param was found."}
_BAD_KEY = {"message": "Invalid API key", "hint": "Double check your API key."}
_ROOT_CLOSED = {"message": "Access to schema is forbidden", "hint": "Use a secret API key."}


def make_jwt(secret: str, **claims: Any) -> str:
    parts = [_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return f"{signed}.{_encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class SupabaseProject:
    """`keys` are the roles by key; only `secret_role`'s keys may read the schema. `heard` is what came, headers and all."""

    url: str
    secret_role: str
    jwt_secret: str
    rest: RestServer
    keys: dict[str, str] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)
    is_paused: bool = False

    def legacy_key(self, role: str) -> str:
        key = make_jwt(self.jwt_secret, iss="supabase", role=role)
        self.keys[key] = role
        return key

    def secret_key(self) -> str:
        return self._add(f"sb_secret_{token_hex(16)}", self.secret_role)

    def publishable_key(self, role: str) -> str:
        return self._add(f"sb_publishable_{token_hex(16)}", role)

    def _add(self, key: str, role: str) -> str:
        self.keys[key] = role
        return key


class Supabase:
    def __init__(self) -> None:
        self.origin = ""
        self._projects: dict[str, SupabaseProject] = {}

    @asynccontextmanager
    async def project(self, dsn: str, secret_role: str, **settings: str) -> AsyncIterator[SupabaseProject]:
        """One on this database; `settings` are PostgREST's."""
        name, secret = token_hex(6), token_hex(24)
        given = {"PGRST_DB_URI": dsn, "PGRST_JWT_SECRET": secret, "PGRST_DB_CHANNEL_ENABLED": "false"}
        rest = RestServer(load_settings(None, {**given, **settings}))
        await rest.start()
        project = SupabaseProject(f"{self.origin}/{name}", secret_role, secret, rest)
        self._projects[name] = project
        try:
            yield project
        finally:
            del self._projects[name]
            await rest.stop()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _, name, *rest = scope["path"].split("/", 2)
        project = self._projects.get(name)
        path = f"/{rest[0]}" if rest else ""
        if project is None or not (path == _REST or path.startswith(f"{_REST}/")):
            await answer_json(send, 404, {"message": "no Route matched with those values"})
            return
        project.heard.append(scope)
        if project.is_paused:
            await answer(send, 540, b"<html>paused</html>", b"text/html")
            return
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        refusal = check_key(project, headers, path)
        if refusal is not None:
            status, content = refusal
            await (answer(send, status, b"", b"text/plain") if content is None else answer_json(send, status, content))
            return
        inner = {**scope, "path": path.removeprefix(_REST) or "/", "headers": authorize(project, headers)}
        await project.rest(inner, receive, lambda message: send(add_gateway_headers(message)))


def check_key(project: SupabaseProject, headers: dict[bytes, str], path: str) -> tuple[int, Any] | None:
    key = headers.get(b"apikey")
    if key is None:
        return 401, _NO_KEY
    role = project.keys.get(key)
    if role is None:
        return 401, _BAD_KEY
    if key.startswith("sb_secret_") and any(one in headers.get(b"user-agent", "") for one in _BROWSERS):
        return 401, None
    if path in (_REST, f"{_REST}/") and role != project.secret_role:
        return 403, _ROOT_CLOSED
    return None


def authorize(project: SupabaseProject, headers: dict[bytes, str]) -> list[tuple[bytes, bytes]]:
    """The new keys become a token here; of the old ones the client's own stays, or the key itself is it."""
    key = headers[b"apikey"]
    if key.startswith("sb_") and b"authorization" not in headers:
        headers[b"authorization"] = f"Bearer {make_jwt(project.jwt_secret, role=project.keys[key])}"
    else:
        headers.setdefault(b"authorization", f"Bearer {key}")
    return [(name, value.encode("latin-1")) for name, value in headers.items()]


def add_gateway_headers(message: Any) -> Any:
    """Headers of hosted projects' answers that our callers do not need."""
    if message["type"] != "http.response.start":
        return message
    extra = [
        (b"set-cookie", b"__cf_bm=tracker; path=/"),
        (b"x-kong-proxy-latency", b"1"),
        (b"sb-gateway-version", b"1"),
    ]
    return {**message, "headers": [*message["headers"], *extra]}


async def answer_json(send: Any, status: int, content: Any) -> None:
    await answer(send, status, json.dumps(content).encode(), b"application/json; charset=utf-8")


async def answer(send: Any, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serve_supabase() -> AsyncIterator[Supabase]:
    listener = open_listener()
    supabase = Supabase()
    supabase.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving(supabase, listener):
        yield supabase
