"""PostgREST's contract for one database as a server of its own: plain ASGI, `basewarden rest`."""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from basewarden.core.collector import calm_collector
from basewarden.pgrest import errors
from basewarden.pgrest.cache import SchemaCache
from basewarden.pgrest.errors import DatabaseError, PgrestError
from basewarden.pgrest.execute import execute
from basewarden.pgrest.jwt import anonymous_disabled, decode_token, find_role
from basewarden.pgrest.openapi import describe_schema
from basewarden.pgrest.plan import InfoPlan, OpenApiPlan, plan_request
from basewarden.pgrest.pool import Pool
from basewarden.pgrest.request import Request, parse_request
from basewarden.pgrest.response import (
    Header,
    Response,
    make_error_response,
    make_info_response,
    make_openapi_response,
    make_response,
)
from basewarden.pgrest.schema import Schema
from basewarden.pgrest.session import Session
from basewarden.pgrest.settings import BadSettings, ServerSettings, load_settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_EXPOSED_HEADERS = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, "
    "Transfer-Encoding, Range-Unit"
)
_METHODS = "GET, POST, PATCH, PUT, DELETE, OPTIONS"
_SAFE_HEADERS = "Authorization"
_ACCEPTED_BY_DEFAULT = "Accept, Accept-Language, Content-Language"
_MAX_AGE = str(24 * 60 * 60)


class RestServer:
    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._cache: SchemaCache | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            response = await self._answer(scope, receive)
            await _send_response(response, send)

    async def start(self) -> None:
        settings = self._settings
        self._pool = Pool(
            settings.dsn,
            max_size=settings.pool_size,
            wait_seconds=settings.pool_seconds,
            prepare=settings.prepares,
        )
        rest = settings.rest
        self._cache = SchemaCache(self._pool, rest.schemas, rest.extra_search_path)
        await self._cache.get()
        if settings.listens:
            self._cache.listen(settings.dsn)

    async def stop(self) -> None:
        if self._cache is not None:
            await self._cache.close()
        if self._pool is not None:
            await self._pool.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except PgrestError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        by_name = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)}
        if _is_preflight(scope["method"], by_name):
            return Response(200, self._preflight_headers(by_name))
        timing = _Timing()
        try:
            response = await self._serve(scope, receive, headers, by_name, timing)
        except PgrestError as error:
            response = make_error_response(error)
        return Response(
            response.status,
            (*response.headers, *self._extra_headers(by_name, timing, response)),
            response.body,
        )

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        headers: Iterable[tuple[bytes, bytes]],
        by_name: MutableMapping[str, str],
        timing: "_Timing",
    ) -> Response:
        session = self._authenticate(by_name.get("authorization"))
        timing.mark("jwt")
        body = await _read_body(receive, self._settings.rest.max_body_bytes)
        schema = await self._require_cache().get()
        timing.start()
        request = parse_request(
            scope["method"],
            scope["path"],
            scope["query_string"],
            headers,
            body,
            config=self._settings.rest,
            is_timezone=schema.is_timezone,
        )
        timing.mark("parse")
        try:
            return await self._run(request, schema, session, timing)
        except PgrestError as error:
            if not await self._require_cache().is_changed(schema, error):
                raise
            return await self._run(request, await self._require_cache().get(), session, timing)

    async def _run(self, request: Request, schema: Schema, session: Session, timing: "_Timing") -> Response:
        config = self._settings.rest
        plan = plan_request(schema, request, config)
        timing.mark("plan")
        if isinstance(plan, InfoPlan):
            timing.mark("transaction")
            timing.mark("response")
            return make_info_response(plan)
        pool = self._require_pool()
        try:
            if isinstance(plan, OpenApiPlan):
                body = await describe_schema(pool, plan, request, session, schema=schema, config=config)
            else:
                async with pool.acquire() as conn:
                    result = await execute(conn, plan, request, session, schema=schema, config=config)
        except DatabaseError as error:
            raise errors.from_database(error, anonymous=session.is_anonymous) from error
        timing.mark("transaction")
        if isinstance(plan, OpenApiPlan):
            response = make_openapi_response(request, plan, body)
        else:
            response = make_response(request, plan, result)
        timing.mark("response")
        return response

    def _authenticate(self, authorization: str | None) -> Session:
        settings = self._settings
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            if settings.anon_role is None:
                raise anonymous_disabled()
            return Session(settings.anon_role, {"role": settings.anon_role}, is_anonymous=True)
        claims = decode_token(token.strip(), settings.jwt, time.time())
        role = find_role(claims, settings.jwt.role_path) or settings.anon_role
        if role is None:
            raise anonymous_disabled()
        return Session(role, {**claims, "role": role}, is_anonymous=role == settings.anon_role)

    def _require_pool(self) -> Pool:
        if self._pool is None:
            raise errors.no_schema_cache()
        return self._pool

    def _require_cache(self) -> SchemaCache:
        if self._cache is None:
            raise errors.no_schema_cache()
        return self._cache

    # Headers --------------------------------------------------------------------------------------------

    def _extra_headers(
        self, by_name: MutableMapping[str, str], timing: "_Timing", response: Response
    ) -> tuple[Header, ...]:
        extra: list[Header] = []
        if self._settings.shows_timing and not any(name == "Proxy-Status" for name, _ in response.headers):
            extra.append(("Server-Timing", timing.header()))
        trace = self._settings.trace_header
        if trace is not None:
            extra.append((trace, by_name.get(trace.lower(), "")))
        if "origin" in by_name:
            extra.extend(self._origin_headers(by_name["origin"]))
            extra.append(("Access-Control-Expose-Headers", _EXPOSED_HEADERS))
        given = {name for name, _ in response.headers}
        return tuple(header for header in extra if header[0] not in given)

    def _origin_headers(self, origin: str) -> tuple[Header, ...]:
        if not self._settings.cors_origins:
            return (("Access-Control-Allow-Origin", "*"),)
        if origin not in self._settings.cors_origins:
            return ()
        return (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))

    def _preflight_headers(self, by_name: MutableMapping[str, str]) -> tuple[Header, ...]:
        asked = by_name.get("access-control-request-headers", "")
        names = ", ".join(
            [
                _SAFE_HEADERS,
                *(part.strip() for part in asked.split(",") if part.strip()),
                _ACCEPTED_BY_DEFAULT,
            ]
        )
        return (
            *self._origin_headers(by_name["origin"]),
            ("Access-Control-Allow-Methods", _METHODS + ", HEAD"),
            ("Access-Control-Allow-Headers", names),
            ("Access-Control-Max-Age", _MAX_AGE),
        )


class _Timing:
    """How long each part of an answer took, for the Server-Timing header."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._parts: list[str] = []

    def start(self) -> None:
        self._since = time.perf_counter()

    def mark(self, name: str) -> None:
        now = time.perf_counter()
        self._parts.append(f"{name};dur={(now - self._since) * 1000:.1f}")
        self._since = now

    def header(self) -> str:
        return ", ".join(self._parts)


def _is_preflight(method: str, headers: MutableMapping[str, str]) -> bool:
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise errors.body_too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send_response(response: Response, send: Send) -> None:
    headers = [(name.encode("latin-1", "replace"), value.encode("utf-8")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def main(arguments: list[str]) -> int:
    import uvicorn  # noqa: PLC0415 - only the server needs it

    try:
        settings = load_settings(Path(arguments[0]) if arguments else None, os.environ)
    except (BadSettings, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return 1
    app = RestServer(settings)
    calm_collector()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        date_header=True,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
