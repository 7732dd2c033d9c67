"""Makes up the values of a row that a probe brings: one that is private, as far as its table lets it be."""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from basewarden.sentry.probes.facts import ProbedColumn, ProbedTable, list_constants

_FIXED: Final = {
    "bool": "false",
    "date": "2026-01-01",
    "time": "12:00",
    "timetz": "12:00Z",
    "timestamp": "2026-01-01 12:00",
    "timestamptz": "2026-01-01 12:00Z",
    "interval": "1 day",
    "json": "{}",
    "jsonb": "{}",
    "array": "{}",
    "bytea": "",
    "inet": "192.0.2.1",
    "cidr": "192.0.2.0/24",
    "macaddr": "00:00:5e:00:53:01",
    "tsvector": "",
    "point": "(0,0)",
    "money": "1",
    "tstzrange": "empty",
    "tsrange": "empty",
    "daterange": "empty",
    "int4range": "empty",
    "int8range": "empty",
    "numrange": "empty",
}
_LARGEST: Final = {"int2": 32_000, "int4": 2_000_000_000, "int8": 9_000_000_000_000_000_000}
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_SPREAD: Final = 100_000_000


def make_value(probed: ProbedTable, column: ProbedColumn, attempt: int) -> str | None:
    """Another one with each attempt, where the column's checks ask for something; None for a type that is not known."""
    if column.kind == "enum":
        return column.label
    if column.kind == "uuid":
        return str(uuid4())
    if column.is_text:
        return _choose(_list_texts(probed, column), attempt)
    if column.kind in _NUMBERS:
        return _choose(_list_numbers(probed, column), attempt)
    return _FIXED.get(column.kind)


def make_number(column: ProbedColumn) -> str:
    """Far behind what a sequence has given out, so that none of its numbers is used up."""
    largest = _LARGEST.get(column.kind, _LARGEST["int4"])
    return str(largest - uuid4().int % min(_SPREAD, largest // 20))


def _list_texts(probed: ProbedTable, column: ProbedColumn) -> Sequence[str]:
    word = uuid4().hex
    strings, _ = list_constants(probed, column.name)
    found = [*strings, word, f"{word[:8]}@example.invalid", f"https://example.invalid/{word[:8]}", word * 5, word[:3]]
    return [one[: column.size] if column.size else one for one in found]


def _list_numbers(probed: ProbedTable, column: ProbedColumn) -> Sequence[str]:
    if column.is_unique:
        return [make_number(column)]
    _, numbers = list_constants(probed, column.name)
    return ["1", *numbers, *(str(float(one) + 1).removesuffix(".0") for one in numbers), "0"]


def _choose(values: Sequence[str], attempt: int) -> str:
    return values[attempt % len(values)]
