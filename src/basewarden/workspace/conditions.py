"""Conditions on a table's columns, encoded in PostgREST's grammar with any name and value."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

Parameter = tuple[str, str]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or", "not"})


@dataclass(frozen=True, slots=True)
class Condition:
    """`operand` is a plain value or, if `is_encoded`, already in PostgREST's grammar, such as a list or null."""

    column: str
    operator: str
    operand: str
    is_encoded: bool = False

    def as_parameter(self) -> Parameter:
        """Returns `id=eq.5` if the name allows it, which is readable in the journal; else `and=("odd name".eq."5")`."""
        if _PLAIN_NAME.fullmatch(self.column) and self.column not in _RESERVED:
            return self.column, f"{self.operator}.{self.operand}"
        return "and", f"({self.in_tree()})"

    def in_tree(self) -> str:
        operand = self.operand if self.is_encoded else quote(self.operand)
        return f"{quote(self.column)}.{self.operator}.{operand}"


def equals(column: str, value: str | None) -> Condition:
    return Condition(column, "is", "null", is_encoded=True) if value is None else Condition(column, "eq", value)


def is_row(columns: Sequence[str], key: Sequence[str]) -> tuple[Condition, ...]:
    return tuple(equals(column, value) for column, value in zip(columns, key, strict=True))


def is_any_row(columns: Sequence[str], keys: Sequence[Sequence[str]]) -> Parameter:
    """Returns one parameter that matches any of the rows."""
    rows = [is_row(columns, key) for key in keys]
    if len(columns) == 1:
        return "or", f"({','.join(row[0].in_tree() for row in rows)})"
    return "or", f"({','.join(f'and({_join(row)})' for row in rows)})"


def is_one_of(column: str, values: Sequence[str]) -> Condition:
    return Condition(column, "in", f"({','.join(map(quote, values))})", is_encoded=True)


def any_of(conditions: Sequence[Condition]) -> Parameter:
    return "or", f"({_join(conditions)})"


def contains(column: str, text: str) -> Condition:
    return Condition(column, "ilike", f"*{escape_pattern(text)}*")


def escape_pattern(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _join(conditions: Sequence[Condition]) -> str:
    return ",".join(condition.in_tree() for condition in conditions)
