"""One request of a caller who is known: prepare it, run it, answer it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pgrest import errors
from pgrest.errors import DatabaseError, PgrestError
from pgrest.execute import Script, run_script
from pgrest.openapi import describe_schema
from pgrest.prepare import HttpCall, Prepared, prepare
from pgrest.query.plan import DatabasePlan, InfoPlan, OpenApiPlan
from pgrest.query.request import Request
from pgrest.response import Response, make_info_response, make_openapi_response, make_response
from pgrest.schema.model import Schema
from pgrest.server.state import ServerState
from pgrest.server.timing import Timing
from pgrest.sql.session import Session


def read_call(scope: Mapping[str, Any], body: bytes) -> HttpCall:
    return HttpCall(
        scope["method"], scope["path"], scope["query_string"], scope["headers"], body, _find_raw_path(scope)
    )


def _find_raw_path(scope: Mapping[str, Any]) -> bytes | None:
    """A server that mounts this one below another path has changed `path`, and may have left `raw_path` as it was."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None or b"%" not in raw:
        return None
    return raw if unquote(raw.decode("latin-1")) == scope["path"] else None


class RequestRunner:
    """Uses the settings and plans of the beginning, even if they are reloaded while the request runs."""

    __slots__ = ("_call", "_live", "_session", "_settings", "_templates", "_timing")

    def __init__(self, live: ServerState, call: HttpCall, session: Session, timing: Timing) -> None:
        self._live = live
        self._call = call
        self._session = session
        self._timing = timing
        self._settings = live.settings
        self._templates = live.templates

    async def run(self) -> Response:
        cache = self._live.cache
        schema = await cache.get()
        self._timing.restart()
        try:
            response = await self._answer(schema)
        except PgrestError as error:
            if not await cache.is_changed(schema, error):
                raise
            response = await self._answer(await cache.get())
        if not self._settings.shows_timing:
            return response
        timing = ("Server-Timing", self._timing.header())
        return Response(response.status, (*response.headers, timing), response.body)

    async def _answer(self, schema: Schema) -> Response:
        prepared = await prepare(schema, self._call, self._settings.rest, self._templates, on_step=self._timing.mark)
        match prepared.plan:
            case InfoPlan() as plan:
                return make_info_response(plan)
            case OpenApiPlan() as plan:
                return await self._describe(prepared.request, schema, plan)
            case plan:
                prepared.keep()
                return await self._run(prepared, plan)

    async def _describe(self, request: Request, schema: Schema, plan: OpenApiPlan) -> Response:
        config = self._settings.rest
        try:
            body = await describe_schema(self._live.pool, plan, request, self._session, schema=schema, config=config)
        except DatabaseError as error:
            raise self._translate(error) from error
        self._timing.mark("transaction")
        response = make_openapi_response(request, plan, body)
        self._timing.mark("response")
        return response

    async def _run(self, prepared: Prepared, plan: DatabasePlan) -> Response:
        request, script = prepared.request, prepared.make_script(self._session)
        self._timing.mark("plan")
        try:
            async with self._live.pool.acquire() as conn:
                result = await run_script(conn, plan, request, script, self._settings.rest)
            self._timing.mark("transaction")
            response = make_response(request, plan, result, prepared.canonical_query)
        except DatabaseError as error:
            translated = self._translate(error)
            self._log_query(script, translated.status)
            raise translated from error
        except PgrestError as error:
            self._log_query(script, error.status)
            raise
        self._timing.mark("response")
        self._log_query(script, response.status)
        return response

    def _translate(self, error: DatabaseError) -> PgrestError:
        return errors.from_database(error, anonymous=self._session.is_anonymous)

    def _log_query(self, script: Script, status: int) -> None:
        """Logs the SQL alone: the values that a client sends are parameters."""
        log = self._live.log
        if self._settings.logs_queries and log.shows_status(status):
            for statement in script.statements:
                log.write(statement.sql)
