"""Lists placeholder values for columns of each type. Pure.

There are several candidates for each type, since a check, a length or a domain may reject some of them, and only the
database knows. Far values are unlikely to be in use; near ones resemble the values that the rows hold.
"""

import random
import re
import string
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

from pgrest import Column

Values = list[str | None]
_HIGHEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_TRIES = 5
_DISTANCES = (1, 2, 3, 4, 5, 6, 8, 12, 20, 50, 100)
_DAY = 86_400
_RANGES = {
    "int4range": ("2000000000", "integer"),
    "int8range": ("9000000000000000000", "integer"),
    "numrange": ("1" + "0" * 30, "integer"),
    "daterange": ("", "date"),
    "tsrange": ("", "timestamp without time zone"),
    "tstzrange": ("", "timestamp with time zone"),
}


def list_placeholders(column: Column, held: Sequence[str | None]) -> Iterator[Values]:
    """Yields lists of as many values as are held, all different or all NULL, in the order to try them."""
    count = len(held)
    if column.nullable:
        yield [None] * count
    if column.enum_values:
        for label in column.enum_values if count == 1 else ():
            yield [label]
        return
    far = _FAR.get(column.base_type)
    if far is not None:
        yield [far(column, number) for number in range(count)]
    elif column.base_type in _RANGES:
        yield ["empty"] * count
        yield [_make_range(column.base_type, number) for number in range(count)]
    elif column.category == "S":
        yield [_make_text(column) for _ in range(count)]
    if None not in held:
        yield from _list_near(column, [value for value in held if value is not None])


def find_free(column: Column, held: Sequence[str | None], taken: Collection[object]) -> Iterator[Values]:
    """Yields the lists without a `taken` value: one that a row holds, or that another row may get first; normalized."""
    for values in list_placeholders(column, held):
        if not any(normalize(column, value) in taken for value in values):
            yield values


def normalize(column: Column, value: str | None) -> object:
    """Values that PostgreSQL or an index may take for equal are equal then; too many are no harm."""
    if value is None:
        return None
    try:
        if column.category == "N":
            return Decimal(value)
        if column.base_type.startswith("timestamp"):
            return datetime.fromisoformat(value)
    except (ValueError, InvalidOperation):
        return value
    return value.strip().casefold()


# Far ----------------------------------------------------------------------------------------------------


def _make_whole(column: Column, number: int) -> str:
    """Counts down from the type's maximum: checks mostly require positive numbers."""
    return str(_HIGHEST[column.base_type] - number)


def _make_numeric(column: Column, number: int) -> str:
    found = _NUMERIC.fullmatch(column.type)
    if found is None:
        return str(10**30 + number)
    digits, scale = int(found[1]), int(found[2])
    return format(Decimal(10**digits - 1 - number).scaleb(-scale), "f")


def _make_date(_column: Column, number: int) -> str:
    return f"{100_000 + number}-01-01"


def _make_timestamp(column: Column, number: int) -> str:
    years, seconds = divmod(number, _DAY)
    minutes, second = divmod(seconds, 60)
    zone = "+00" if column.base_type.endswith("with time zone") else ""
    return f"{100_000 + years}-01-01 {minutes // 60:02}:{minutes % 60:02}:{second:02}{zone}"


def _make_time(column: Column, number: int) -> str:
    zone = "+00" if column.base_type.endswith("with time zone") else ""
    return f"23:59:{59 - number // 10**6 % 60:02}.{10**6 - 1 - number % 10**6:06}{zone}"


def _make_range(kind: str, number: int) -> str:
    first, step = _RANGES[kind]
    if step == "integer":
        return f"[{int(first) + number},{int(first) + number + 1})"
    make = _make_date if step == "date" else _make_timestamp
    column = Column("", 0, step, step, "D", nullable=False)
    return f'["{make(column, 2 * number)}","{make(column, 2 * number + 1)}")'


def _make_text(column: Column) -> str:
    return uuid4().hex[: column.max_length or 63]


_FAR: dict[str, Callable[[Column, int], str]] = {
    **dict.fromkeys(_HIGHEST, _make_whole),
    "numeric": _make_numeric,
    "real": lambda _, number: f"{10**15 * (1000 + number)}",
    "double precision": lambda _, number: f"{10**30 + number * 10**16}",
    "date": _make_date,
    "timestamp with time zone": _make_timestamp,
    "timestamp without time zone": _make_timestamp,
    "time with time zone": _make_time,
    "time without time zone": _make_time,
    "interval": lambda _, number: f"{100_000 + number} years",
    "uuid": lambda _column, _number: str(uuid4()),
    "bytea": lambda _column, _number: f"\\x{uuid4().hex}",
    "inet": lambda _, number: f"240.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
    "macaddr": lambda _, number: f"f2:f2:f2:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
}


# Near ---------------------------------------------------------------------------------------------------


def _list_near(column: Column, held: Sequence[str]) -> Iterator[Values]:
    try:
        if column.category == "N":
            yield from _spread([Decimal(value) for value in held], Decimal(_find_step(column)), lambda one: f"{one:f}")
        elif column.base_type == "date":
            yield from _spread([date.fromisoformat(value) for value in held], timedelta(days=1), date.isoformat)
        elif column.base_type.startswith("timestamp"):
            moments = [datetime.fromisoformat(value) for value in held]
            yield from _spread(moments, timedelta(milliseconds=1), lambda one: one.isoformat(" "))
        elif column.category == "S":
            for _ in range(_TRIES):
                yield [_resemble(value) for value in held]
    except (ValueError, OverflowError, InvalidOperation):
        return  # NaN, infinity, years BC


def _find_step(column: Column) -> str:
    found = _NUMERIC.fullmatch(column.type)
    return format(Decimal(1).scaleb(-int(found[2])), "f") if found else "1"


def _spread(held: Sequence[Any], step: Any, write: Callable[[Any], str]) -> Iterator[Values]:
    """Yields values after the last, before the first, and between them."""
    if not held:
        return
    first, last, count = min(held), max(held), len(held)
    for distance in _DISTANCES:
        yield [write(last + step * (number + distance)) for number in range(count)]
        yield [write(first - step * (number + distance)) for number in range(count)]
    room = int((last - first) / step)
    for _ in range(_TRIES):
        if room > count:
            yield [write(first + step * place) for place in random.sample(range(1, room), count)]


def _resemble(value: str) -> str:
    """A text of the same length, with each character of the same kind."""
    return "".join(_resemble_one(one) for one in value)


def _resemble_one(character: str) -> str:
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        if character in kind:
            return random.choice(kind)  # noqa: S311 - not a secret
    return character
