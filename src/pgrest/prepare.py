"""From an HTTP request to its plan: made on the snapshot, or recalled from an earlier request of its shape."""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import msgspec

from pgrest.config import RestConfig
from pgrest.execute import Script, make_script
from pgrest.query.bodies import read_body
from pgrest.query.plan import InfoPlan, OpenApiPlan, Plan, plan_request
from pgrest.query.request import Request, parse_head
from pgrest.query.templates import PlanTemplate, PlanTemplates, RequestShape, make_template, shape_request
from pgrest.schema.model import Schema
from pgrest.sql.session import Session


class HttpCall(msgspec.Struct, frozen=True):
    """A request below the API's root. `raw_path` is the path percent-encoded, for a name with a slash in it."""

    method: str
    path: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    raw_path: bytes | None = None

    @property
    def has_shape(self) -> bool:
        """Whether path and query alone say what is wanted, so that a plan may be kept under them."""
        return self.raw_path is None


class PlanScope(Protocol):
    """The part of a snapshot that one caller's requests are planned on."""

    @property
    def key(self) -> Hashable:
        """Distinguishes plans that are kept; None is the whole snapshot."""

    def narrow(self, schema: Schema) -> Schema:
        """The snapshot in which the names of a request are looked up."""

    def check_head(self, head: Request, schema: Schema) -> None:
        """Raises what can be refused before the body is read."""


class WholeSchema:
    key = None

    def narrow(self, schema: Schema) -> Schema:
        return schema

    def check_head(self, head: Request, schema: Schema) -> None:
        """Nothing is refused."""


WHOLE_SCHEMA = WholeSchema()


class Prepared(msgspec.Struct, frozen=True):
    """One request and its plan. Where `is_repeated`, both are an earlier request's of the same shape.

    A repeated plan holds the other request's values; `make_script`, `template` with `shape`, and `replan` use its own.
    `template` is None for what touches no rows.
    """

    call: HttpCall
    schema: Schema
    request: Request
    plan: Plan
    shape: RequestShape | None
    template: PlanTemplate | None
    is_repeated: bool
    _config: RestConfig
    _templates: PlanTemplates
    _scope: PlanScope

    @property
    def canonical_query(self) -> str:
        """This request's query string in one order, for Content-Location."""
        is_other = self.is_repeated and self.shape is not None
        return self.shape.canonical if is_other and self.shape is not None else self.request.query.canonical

    def make_script(self, session: Session) -> Script:
        assert not isinstance(self.plan, InfoPlan | OpenApiPlan)
        if self.is_repeated and self.template is not None and self.shape is not None:
            return self.template.make_script(self.shape, session, self._config, self.call.headers)
        return make_script(self.plan, self.request, session, schema=self.schema, config=self._config)

    def keep(self) -> None:
        """Recalls the plan for the next requests of this shape."""
        if self.shape is not None and self.template is not None and not self.is_repeated:
            self._templates.keep(self.shape, self.template, self._scope.key)

    async def replan(self) -> "Prepared":
        """The plan of this very request, for what the shape alone does not suffice. Raises PgrestError."""
        if not self.is_repeated:
            return self
        return await _plan(
            self.schema, self.call, self._config, self._templates, self._scope, self.shape, on_step=_ignore
        )


def _ignore(step: str) -> None:
    """For callers that measure nothing."""


async def prepare(
    schema: Schema,
    call: HttpCall,
    config: RestConfig,
    templates: PlanTemplates,
    scope: PlanScope = WHOLE_SCHEMA,
    *,
    on_step: Callable[[str], None] = _ignore,
) -> Prepared:
    """Raises PgrestError, and what `scope` raises. `on_step` is called after "parse" and after "plan"."""
    shape = shape_request(call.method, call.path, call.query, call.headers, call.body) if call.has_shape else None
    template = None if shape is None else templates.find(shape, schema, scope.key)
    if template is None:
        return await _plan(schema, call, config, templates, scope, shape, on_step=on_step)
    on_step("parse")
    return Prepared(call, schema, template.request, template.plan, shape, template, True, config, templates, scope)  # noqa: FBT003 - by place: keywords cost time here


async def _plan(
    schema: Schema,
    call: HttpCall,
    config: RestConfig,
    templates: PlanTemplates,
    scope: PlanScope,
    shape: RequestShape | None,
    *,
    on_step: Callable[[str], None],
) -> Prepared:
    head = read_head(schema, call, config)
    scope.check_head(head, schema)
    request = await read_body(head, call.body)
    on_step("parse")
    plan = plan_request(scope.narrow(schema), request, config)
    template = None if isinstance(plan, InfoPlan | OpenApiPlan) else make_template(schema, request, plan)
    on_step("plan")
    return Prepared(call, schema, request, plan, shape, template, False, config, templates, scope)  # noqa: FBT003 - as above


def read_head(schema: Schema, call: HttpCall, config: RestConfig) -> Request:
    """What a request wants, apart from its body."""
    return parse_head(
        call.method,
        call.path,
        call.query,
        call.headers,
        config=config,
        is_timezone=schema.is_timezone,
        body_bytes=len(call.body),
        raw_path=call.raw_path,
    )
