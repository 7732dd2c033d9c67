"""One request of a caller who is known: read it, find its plan or make one, run it, answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from pgrest import errors
from pgrest.errors import DatabaseError, PgrestError
from pgrest.execute import Script, make_script, run_script
from pgrest.openapi import describe_schema
from pgrest.query.bodies import read_body
from pgrest.query.plan import DatabasePlan, InfoPlan, OpenApiPlan, plan_request
from pgrest.query.request import Request, make_canonical, parse_head
from pgrest.query.templates import PlanTemplate, RequestShape, make_template, shape_request
from pgrest.response import Response, make_info_response, make_openapi_response, make_response
from pgrest.schema.model import Schema
from pgrest.server.state import ServerState
from pgrest.server.timing import Timing
from pgrest.sql.session import Session


@dataclass(frozen=True, slots=True)
class Call:
    """`raw_path` is the path as it was spelt, where that is another way than plainly."""

    method: str
    path: str
    raw_path: bytes | None
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    session: Session

    @classmethod
    def of(cls, scope: Mapping[str, Any], body: bytes, session: Session) -> Self:
        return cls(
            scope["method"],
            scope["path"],
            _find_spelling(scope),
            scope["query_string"],
            scope["headers"],
            body,
            session,
        )


def _find_spelling(scope: Mapping[str, Any]) -> bytes | None:
    """Whoever serves us below another path has changed `path`, and may have left `raw_path` as it was."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None or b"%" not in raw:
        return None
    return raw if unquote(raw.decode("latin-1")) == scope["path"] else None


class RequestRunner:
    """Settings and plans are those of the beginning, whatever is reloaded on the way."""

    __slots__ = ("_call", "_live", "_settings", "_templates", "_timing")

    def __init__(self, live: ServerState, call: Call, timing: Timing) -> None:
        self._live = live
        self._call = call
        self._timing = timing
        self._settings = live.settings
        self._templates = live.templates

    async def travel(self) -> Response:
        cache = self._live.cache
        schema = await cache.get()
        self._timing.restart()
        shaped = self._shape()
        try:
            response = await self._answer(schema, shaped)
        except PgrestError as error:
            if not await cache.is_changed(schema, error):
                raise
            response = await self._answer(await cache.get(), shaped)
        if not self._settings.shows_timing:
            return response
        timing = ("Server-Timing", self._timing.header())
        return Response(response.status, (*response.headers, timing), response.body)

    def _shape(self) -> RequestShape | None:
        """None for a path that is spelt with escapes: one name may be spelt in many ways, and SQL sees which."""
        call = self._call
        if call.raw_path is not None:
            return None
        return shape_request(call.method, call.path, call.query, call.headers, call.body)

    async def _answer(self, schema: Schema, shaped: RequestShape | None) -> Response:
        template = None if shaped is None else self._templates.find(shaped, schema)
        if template is not None and shaped is not None:
            return await self._repeat(template, shaped)
        request = await self._read(schema)
        self._timing.mark("parse")
        plan = plan_request(schema, request, self._settings.rest)
        self._timing.mark("plan")
        match plan:
            case InfoPlan():
                return make_info_response(plan)
            case OpenApiPlan():
                return await self._describe(request, schema, plan)
        if shaped is not None:
            self._templates.keep(shaped, make_template(schema, request, plan))
        script = make_script(plan, request, self._call.session, schema=schema, config=self._settings.rest)
        return await self._run(request, plan, script)

    async def _repeat(self, template: PlanTemplate, shaped: RequestShape) -> Response:
        """What was planned before."""
        self._timing.mark("parse")
        script = template.make_script(shaped, self._call.session, self._settings.rest, self._call.headers)
        self._timing.mark("plan")
        return await self._run(template.request, template.plan, script, make_canonical(shaped.pairs))

    async def _read(self, schema: Schema) -> Request:
        call = self._call
        head = parse_head(
            call.method,
            call.path,
            call.query,
            call.headers,
            config=self._settings.rest,
            is_timezone=schema.is_timezone,
            raw_path=call.raw_path,
            body_bytes=len(call.body),
        )
        return await read_body(head, call.body)

    async def _describe(self, request: Request, schema: Schema, plan: OpenApiPlan) -> Response:
        session, config = self._call.session, self._settings.rest
        try:
            body = await describe_schema(self._live.pool, plan, request, session, schema=schema, config=config)
        except DatabaseError as error:
            raise self._tell(error) from error
        self._timing.mark("transaction")
        response = make_openapi_response(request, plan, body)
        self._timing.mark("response")
        return response

    async def _run(
        self, request: Request, plan: DatabasePlan, script: Script, canonical: str | None = None
    ) -> Response:
        try:
            async with self._live.pool.acquire() as conn:
                result = await run_script(conn, plan, request, script, self._settings.rest)
            self._timing.mark("transaction")
            response = make_response(request, plan, result, canonical)
        except DatabaseError as error:
            told = self._tell(error)
            self._log_query(script, told.status)
            raise told from error
        except PgrestError as error:
            self._log_query(script, error.status)
            raise
        self._timing.mark("response")
        self._log_query(script, response.status)
        return response

    def _tell(self, error: DatabaseError) -> PgrestError:
        return errors.from_database(error, anonymous=self._call.session.is_anonymous)

    def _log_query(self, script: Script, status: int) -> None:
        """The SQL alone: what a client sends stands in parameters."""
        log = self._live.log
        if self._settings.logs_queries and log.shows_status(status):
            for statement in script.statements:
                log.tell(statement.sql)
