"""Requests that were planned before. Most differ only in the values that they compare with, and in their bodies.

A request's shape is its text without those. Planning one of a shape gives statements in which each such value, and the
body, is a parameter; for the next of that shape only the parameters are put in.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar, cast

from pgrest.config import RestConfig
from pgrest.errors import PgrestError
from pgrest.execute import Script, make_opening, make_prelude
from pgrest.query.grammar import media
from pgrest.query.grammar.filters import COMPARISON_START
from pgrest.query.grammar.nodes import Compare
from pgrest.query.payload import LARGE_BODY_BYTES, Payload, split_optional_pairs
from pgrest.query.plan import DatabasePlan, ReadPlan
from pgrest.query.request import Request, is_filter, make_canonical, read_payload
from pgrest.query.user_code import may_run_code
from pgrest.schema.model import Schema
from pgrest.sql.session import Session
from pgrest.sql.statements import estimate_sql, statement_sql, wants_estimate
from pgrest.sql.text import Builder, Statement, to_parameter

MOST_KEPT = 1024
_LARGEST_SHAPE = 4000
_MOST_KEYS = 200
_DECIDING = frozenset((b"accept", b"accept-profile", b"content-profile", b"content-type", b"prefer", b"range"))
_READS = ("GET", "HEAD")

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class RequestShape:
    """`pairs` are the query string's; `values` those of its plain comparisons, in order."""

    shape: Hashable
    values: tuple[str, ...]
    pairs: list[tuple[str, str | None]]
    body: bytes = b""

    @cached_property
    def canonical(self) -> str:
        return make_canonical(self.pairs)


def shape_request(method: str, path: str, query: bytes, headers: Headers, body: bytes) -> RequestShape | None:
    """None for what will hardly be asked again in the same shape, and for what is not right."""
    if len(query) > _LARGEST_SHAPE or len(body) > LARGE_BODY_BYTES or method == "OPTIONS":
        return None
    deciding = tuple([pair for pair in headers if pair[0] in _DECIDING])
    if method in _READS:
        return _shape_read(method, path, query, deciding)
    return _shape(method, path, query, deciding, body)


@lru_cache(maxsize=512)
def _shape_read(method: str, path: str, query: bytes, deciding: Headers) -> RequestShape | None:
    """Pages and agents ask the very same again."""
    return _shape(method, path, query, deciding, b"")


def _shape(method: str, path: str, query: bytes, deciding: Headers, body: bytes) -> RequestShape | None:
    pairs = split_optional_pairs(query, "the query string")
    payload = None
    if method not in _READS and (body or method != "DELETE"):
        payload = _read_payload(method, path, deciding, pairs, body)
        if payload is None:
            return None
    parts: list[tuple[str, str | None]] = []
    values: list[str] = []
    for key, value in pairs:
        start = COMPARISON_START.match(value) if value is not None and is_filter(key) else None
        if value is None or start is None:
            parts.append((key, value))
        else:
            parts.append((key, start[0]))
            values.append(value[start.end() :])
    given = None if payload is None else (payload.keys, payload.is_object)
    shape = (method, path, deciding, tuple(parts), len(values), given)
    return RequestShape(shape, tuple(values), pairs, b"" if payload is None else payload.body)


def _read_payload(
    method: str, path: str, deciding: Headers, pairs: Sequence[tuple[str, str | None]], body: bytes
) -> Payload | None:
    """A form's values are a call's arguments one by one, so they would be part of the shape."""
    is_call = path.startswith("/rpc/")
    given = next((value.decode("latin-1") for name, value in deciding if name == b"content-type"), None)
    content_type = media.JSON if given is None else media.parse_media_type(given)
    columns = next((value for key, value in pairs if key == "columns"), None)
    if columns is not None or (is_call and content_type != media.JSON):
        return None
    try:
        payload = read_payload(method, body, content_type, None, is_call=is_call)
    except PgrestError:
        return None
    return payload if payload is not None and len(payload.keys) <= _MOST_KEYS else None


_BODY = -1
C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _ParamSlot:
    """Parameter `at` of a statement is comparison number `value`, or the body."""

    at: int
    value: int
    is_pattern: bool = False


@dataclass(frozen=True, slots=True)
class _Blank:
    """A statement whose parameters are those of the request that it was planned for, but for the slots."""

    statement: Statement
    slots: tuple[_ParamSlot, ...]

    def fill(self, shaped: RequestShape) -> Statement:
        if not self.slots:
            return self.statement
        params = list(self.statement.params)
        for slot in self.slots:
            params[slot.at] = to_parameter(_find_value(slot, shaped))
        return Statement(self.statement.sql, tuple(params))


def _find_value(slot: _ParamSlot, shaped: RequestShape) -> str | bytes:
    if slot.value == _BODY:
        return shaped.body
    value = shaped.values[slot.value]
    return value.replace("*", "%") if slot.is_pattern else value


@dataclass(frozen=True)
class PlanTemplate:
    """Good for the snapshot that it was planned on. `request` and `plan` are those of the first of its shape."""

    schema: Schema
    request: Request
    plan: DatabasePlan
    _comparisons: dict[int, int]
    learned: set[Hashable] = field(default_factory=set)
    """What running it has shown, and need not be found out again on this snapshot."""
    _blanks: dict[Hashable, _Blank] = field(default_factory=dict)
    _runs_code: dict[bool, bool] = field(default_factory=dict)
    _openings: dict[str | None, Statement | None] = field(default_factory=dict)
    _last: list[tuple[Session, Headers, Sequence[Statement]]] = field(default_factory=list)
    _conclusion: list[tuple[object, object]] = field(default_factory=list)

    def fill(self, name: Hashable, shaped: RequestShape, build: Callable[[Builder], str]) -> Statement:
        """A statement of this plan for another request of its shape; `build` writes it the first time."""
        blank = self._blanks.get(name)
        if blank is None:
            builder = Builder()
            sql = build(builder)
            blank = self._blanks[name] = _Blank(builder.statement(sql), tuple(self._list_slots(builder)))
        return blank.fill(shaped)

    def _list_slots(self, builder: Builder) -> list[_ParamSlot]:
        slots = []
        for at, origin in builder.origins:
            if isinstance(origin, Payload):
                slots.append(_ParamSlot(at, _BODY))
            elif id(origin) in self._comparisons:
                slots.append(_ParamSlot(at, self._comparisons[id(origin)], origin.is_pattern))
        return slots

    def make_script(self, shaped: RequestShape, session: Session, config: RestConfig, headers: Headers) -> Script:
        prelude = self.recall_prelude(
            session,
            headers,
            lambda: make_prelude(self.plan, self.request, session, schema=self.schema, config=config, headers=headers),
        )
        statements = [*prelude, self.fill("statement", shaped, self._statement)]
        if wants_estimate(self.plan):
            statements.append(self.fill("estimate", shaped, self._estimate))
        rolls_back = config.reads_roll_back and self.may_run_code(session.role)
        return Script(self._find_opening(session), tuple(statements), len(prelude), rolls_back)

    def _find_opening(self, session: Session) -> Statement | None:
        if session.role not in self._openings:
            self._openings[session.role] = make_opening(self.plan, session, self.schema)
        return self._openings[session.role]

    def may_run_code(self, role: str | None) -> bool:
        """Found out once for those that bypass row security, and once for the others."""
        bypasses = role is not None and self.schema.role_bypasses_rls(role)
        if bypasses not in self._runs_code:
            self._runs_code[bypasses] = may_run_code(self.schema, self.plan, role)
        return self._runs_code[bypasses]

    def recall_prelude(
        self, session: Session, headers: Headers, make: Callable[[], Sequence[Statement]]
    ) -> Sequence[Statement]:
        """Returns what runs before the statement: the same as last time for the same session and headers."""
        for known_session, known_headers, prelude in self._last:
            if known_session is session and known_headers == headers:
                return prelude
        prelude = make()
        self._last[:] = [(session, headers, prelude)]
        return prelude

    def conclude(self, rules: C, find: Callable[[C, DatabasePlan], T]) -> T:
        """What `find` says of the plan: the same as last time under the same rules."""
        for known, found in self._conclusion:
            if known is rules:
                return cast("T", found)
        found = find(rules, self.plan)
        self._conclusion[:] = [(rules, found)]
        return found

    def _statement(self, builder: Builder) -> str:
        return statement_sql(builder, self.plan)

    def _estimate(self, builder: Builder) -> str:
        assert isinstance(self.plan, ReadPlan)
        return estimate_sql(builder, self.plan)


def make_template(schema: Schema, request: Request, plan: DatabasePlan) -> PlanTemplate:
    comparisons = (one.filter.operation for one in request.query.filters)
    plain = (one for one in comparisons if isinstance(one, Compare) and one.quantifier is None)
    return PlanTemplate(schema, request, plan, {id(one): number for number, one in enumerate(plain)})


class PlanTemplates:
    """The most recently used ones of one database, all of one snapshot: they keep it from being freed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, PlanTemplate] = OrderedDict()
        self._schema: Schema | None = None

    def find(self, shaped: RequestShape, schema: Schema, seen_by: Hashable = None) -> PlanTemplate | None:
        """`seen_by` stands for the part of the schema that the request was planned on."""
        key = shaped.shape if seen_by is None else (seen_by, shaped.shape)
        found = self._kept.get(key)
        if found is None or found.schema is not schema:
            return None
        self._kept.move_to_end(key)
        return found

    def keep(self, shaped: RequestShape, template: PlanTemplate, seen_by: Hashable = None) -> None:
        key = shaped.shape if seen_by is None else (seen_by, shaped.shape)
        if template.schema is not self._schema:
            self._kept.clear()
            self._schema = template.schema
        self._kept[key] = template
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
