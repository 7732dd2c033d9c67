"""Reads that were planned before. Most requests differ only in the values that they compare with.

A request's shape is its text without those values. Planning one of a shape gives a statement in which each such value
is a parameter; for the next of that shape only the parameters are put in.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from basewarden.pgrest.config import RestConfig
from basewarden.pgrest.execute import Script, make_opening, make_prelude
from basewarden.pgrest.grammar.filters import COMPARISON_START
from basewarden.pgrest.grammar.nodes import Compare
from basewarden.pgrest.payload import split_optional_pairs
from basewarden.pgrest.plan import CallPlan, ReadPlan
from basewarden.pgrest.request import Request, is_filter
from basewarden.pgrest.schema import Schema
from basewarden.pgrest.session import Session
from basewarden.pgrest.sql import Builder, Statement, to_parameter
from basewarden.pgrest.statements import estimate_sql, statement_sql

MOST_KEPT = 1024
_LARGEST_SHAPE = 4000
_DECIDING = frozenset((b"accept", b"accept-profile", b"prefer", b"range"))

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Shaped:
    """`pairs` are the query string's; `values` those of its plain comparisons, in order."""

    shape: Hashable
    values: tuple[str, ...]
    pairs: list[tuple[str, str | None]]


def shape_read(method: str, path: str, query: bytes, headers: Headers) -> Shaped | None:
    """Of a GET or HEAD; None where it is so long that nobody will ask it again."""
    if len(query) > _LARGEST_SHAPE:
        return None
    pairs = split_optional_pairs(query, "the query string")
    parts: list[tuple[str, str | None]] = []
    values: list[str] = []
    for key, value in pairs:
        start = COMPARISON_START.match(value) if value is not None and is_filter(key) else None
        if value is None or start is None:
            parts.append((key, value))
        else:
            parts.append((key, start[0]))
            values.append(value[start.end() :])
    deciding = tuple(pair for pair in headers if pair[0] in _DECIDING)
    return Shaped((method, path, deciding, tuple(parts), len(values)), tuple(values), pairs)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Parameter `at` of a statement is comparison number `value`."""

    at: int
    value: int
    is_pattern: bool


@dataclass(frozen=True, slots=True)
class _Blank:
    """A statement whose parameters are those of the request that it was planned for, but for the slots."""

    statement: Statement
    slots: tuple[_Slot, ...]

    def fill(self, values: Sequence[str]) -> Statement:
        if not self.slots:
            return self.statement
        params = list(self.statement.params)
        for slot in self.slots:
            value = values[slot.value]
            params[slot.at] = to_parameter(value.replace("*", "%") if slot.is_pattern else value)
        return Statement(self.statement.sql, tuple(params))


@dataclass(frozen=True, slots=True)
class ReadTemplate:
    """Good for the snapshot that it was planned on. `request` is the first of its shape."""

    schema: Schema
    request: Request
    plan: ReadPlan | CallPlan
    blanks: tuple[_Blank, ...]

    def make_script(self, shaped: Shaped, session: Session, config: RestConfig, headers: Headers) -> Script:
        prelude = make_prelude(self.plan, self.request, session, schema=self.schema, config=config, headers=headers)
        statements = (*prelude, *(blank.fill(shaped.values) for blank in self.blanks))
        return Script(make_opening(self.plan, session, self.schema), statements, len(prelude))


def make_template(schema: Schema, request: Request, plan: ReadPlan | CallPlan) -> ReadTemplate:
    comparisons = (one.filter.operation for one in request.query.filters)
    plain = (one for one in comparisons if isinstance(one, Compare) and one.quantifier is None)
    numbers = {id(one): number for number, one in enumerate(plain)}
    builder = Builder()
    blanks = [_make_blank(builder, statement_sql(builder, plan), numbers)]
    estimate = Builder()
    sql = estimate_sql(estimate, plan)
    if sql is not None:
        blanks.append(_make_blank(estimate, sql, numbers))
    return ReadTemplate(schema, request, plan, tuple(blanks))


def _make_blank(builder: Builder, sql: str, numbers: dict[int, int]) -> _Blank:
    slots = tuple(
        _Slot(at, numbers[id(origin)], origin.is_pattern) for at, origin in builder.origins if id(origin) in numbers
    )
    return _Blank(builder.statement(sql), slots)


class ReadTemplates:
    """The most recently used ones of one database."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, ReadTemplate] = OrderedDict()

    def find(self, shaped: Shaped, schema: Schema) -> ReadTemplate | None:
        found = self._kept.get(shaped.shape)
        if found is None or found.schema is not schema:
            return None
        self._kept.move_to_end(shaped.shape)
        return found

    def keep(self, shaped: Shaped, template: ReadTemplate) -> None:
        self._kept[shaped.shape] = template
        self._kept.move_to_end(shaped.shape)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
