"""Says which fields a database refused, and why, in plain words.

PostgreSQL names the column of a missing value only; the others are found by what was typed. A message in another
language, or about another table, stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from basewarden.workspace.errors import DataRefused
from pgrest import Column, Table

Values = Mapping[str, str | None]
Messages = dict[str, str]
"""By column; "" is the whole row."""

REQUIRED: Final = "Required."
_LONGEST: Final = 60
_MISSING: Final = re.compile(
    r'null value in column "(?P<column>.+)" of relation "(?P<table>.+)" violates', re.IGNORECASE
)
_NOT_OF_TYPE: Final = re.compile(
    r'(?:invalid input syntax for type|invalid input value for enum) (?P<type>.+?): "(?P<value>.*)"\.?\Z',
    re.IGNORECASE | re.DOTALL,
)
_MALFORMED: Final = re.compile(
    r'malformed (?P<what>array|range|multirange|record) literal: "(?P<value>.*)"', re.IGNORECASE | re.DOTALL
)
_DATE: Final = re.compile(r'date/time field value out of range: "(?P<value>.*)"', re.IGNORECASE | re.DOTALL)
_OUT_OF_RANGE: Final = re.compile(
    r'value "(?P<value>.*)" is out of range for type (?P<type>.+?)\.?\Z', re.IGNORECASE | re.DOTALL
)
_PRECISION: Final = re.compile(r"A field with precision (?P<precision>\d+), scale (?P<scale>-?\d+) must round")
_TOO_LONG: Final = re.compile(r"value too long for type (?P<type>[^(]+\((?P<length>\d+)\))", re.IGNORECASE)
_CHECK: Final = re.compile(r'relation "(?P<table>.+)" violates check constraint "(?P<name>.+)"', re.IGNORECASE)
_KEY: Final = re.compile(
    r"Key \((?P<columns>.+?)\)=\(.*\) (?P<what>already exists|is not present in table \"(?P<table>.+)\")", re.DOTALL
)
_NAMES: Final = {"B": "true or false", "D": "a date or time", "N": "a number", "T": "an interval"}
_KINDS: Final = {"uuid": "a UUID", "json": "JSON", "jsonb": "JSON", "date": "a date", "interval": "an interval"}


def explain_refusal(table: Table, values: Values, error: DataRefused) -> Messages:
    """`values` are those that were sent; empty where the error says nothing of single fields."""
    explain = _EXPLANATIONS.get(error.sqlstate)
    return explain(table, values, error) if explain else {}


def _explain_missing(table: Table, values: Values, error: DataRefused) -> Messages:
    """All fields that need a value: the database names the first only."""
    found = _MISSING.search(error.text)
    if found is None or found["table"] != table.name or found["column"] not in table.columns:
        return {}
    needed = [
        name for name, one in table.columns.items() if not one.nullable and one.default is None and not one.identity
    ]
    missing = [name for name in needed if values.get(name) is None and name not in table.key]
    return dict.fromkeys([*missing, found["column"]], REQUIRED)


def _explain_type(table: Table, values: Values, error: DataRefused) -> Messages:
    found = _NOT_OF_TYPE.search(error.text) or _DATE.search(error.text)
    if found is not None:
        names = _find_typed(values, found["value"])
        return {name: f"Not {_name_type(table.columns[name])}: {found['value'][:_LONGEST]}" for name in names}
    found = _MALFORMED.search(error.text)
    if found is None:
        return {}
    return dict.fromkeys(_find_typed(values, found["value"]), f"Not a valid {found['what'].replace('record', 'row')}.")


def _explain_range(table: Table, values: Values, error: DataRefused) -> Messages:
    found = _OUT_OF_RANGE.search(error.text)
    if found is not None:
        return dict.fromkeys(_find_typed(values, found["value"]), f"Too large or too small for {found['type']}.")
    found = _PRECISION.search(error.text)
    if found is None:
        return {}
    digits = int(found["precision"]) - int(found["scale"])
    names = _find_of_type(table, values, f"numeric({found['precision']},{found['scale']})")
    words = "digit" if digits == 1 else "digits"
    return (
        dict.fromkeys(names, f"Too large: at most {digits} {words} before the decimal point.")
        if len(names) == 1
        else {}
    )


def _explain_length(table: Table, values: Values, error: DataRefused) -> Messages:
    found = _TOO_LONG.search(error.text)
    if found is None:
        return {}
    length = int(found["length"])
    names = [name for name in _find_of_type(table, values, found["type"]) if len(values[name] or "") > length]
    return dict.fromkeys(names, f"Too long: at most {length} characters.")


def _explain_key(table: Table, _: Values, error: DataRefused) -> Messages:
    found = _KEY.search(error.text)
    names = found["columns"].replace('"', "").split(", ") if found is not None else []
    if found is None or not names or not all(name in table.columns for name in names):
        return {}
    if found["table"] is not None:
        return dict.fromkeys(names, f"No row of {found['table'].rpartition('.')[2]} has this key.")
    also = f" of {' and '.join(names)}" if len(names) > 1 else ""
    return dict.fromkeys(names, f"Another row has {'these values' if also else 'this value'}{also} already.")


def _explain_check(table: Table, values: Values, error: DataRefused) -> Messages:
    found = _CHECK.search(error.text)
    if found is None or found["table"] != table.name:
        return {}
    text = f"This breaks the rule “{found['name']}” of the table."
    name = found["name"].removeprefix(f"{table.name}_").removesuffix("_check")
    return {name if name in values else "": text}


_EXPLANATIONS: Final = {
    "23502": _explain_missing,
    "23503": _explain_key,
    "23505": _explain_key,
    "23514": _explain_check,
    "22P02": _explain_type,
    "22007": _explain_type,
    "22008": _explain_type,
    "22003": _explain_range,
    "22001": _explain_length,
}


def _find_typed(values: Values, text: str) -> Sequence[str]:
    return [name for name, value in values.items() if value == text]


def _find_of_type(table: Table, values: Values, type_name: str) -> Sequence[str]:
    return [name for name in values if values[name] is not None and table.columns[name].type == type_name]


def _name_type(column: Column) -> str:
    if column.enum_values:
        return f"one of {', '.join(column.enum_values[:8])}"
    return _KINDS.get(column.base_type) or _NAMES.get(column.category) or f"of type {column.type}"
