"""Counts the rows of an answer, as it is about to be sent.

Related rows count too. What a function returns counts by its rows, whatever is in one of them. Where it is not certain
how many there are, as with rows that are spread into lists, the larger number counts.
"""

import asyncio
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from pgrest import (
    LARGE_BODY_BYTES,
    Request,
    SelectField,
    SelectItem,
    SelectRelation,
    decode_rows,
    media_not_available,
)

_JSON, _CSV = "json", "text/csv"
_BLANK: Final = b" \t\r\n"


async def count_rows(request: Request, body: bytes | memoryview, media_type: str) -> int:
    """The rows of an answer; those of a large one in a thread. Raises PgrestError for a type without countable rows."""
    if len(body) <= LARGE_BODY_BYTES:
        return _count(request, bytes(body), media_type)
    return await asyncio.to_thread(_count, request, bytes(body), media_type)


def _count(request: Request, body: bytes, media_type: str) -> int:
    select = request.query.select
    relations = _list_relations(select)
    if not body:
        return 0
    if _JSON in media_type.partition(";")[0] and "geo" not in media_type:
        return sum(_count_row(relations, row) for row in _decode(body, repeats=_may_repeat_keys(select)))
    if media_type.startswith(_CSV) and not relations:
        return max(0, sum(1 for _ in csv.reader(io.StringIO(body.decode()))) - 1)
    raise media_not_available([media_type])


def _list_relations(items: Iterable[SelectItem]) -> list[SelectRelation]:
    return [item for item in items if isinstance(item, SelectRelation)]


# Decoding -------------------------------------------------------------------------------------------------


def _decode(body: bytes, *, repeats: bool) -> Iterator[Any]:
    """The rows. An object may hold a key twice, and clients see both: a slower decoder shows them."""
    if repeats:
        decoded = json.loads(body, object_pairs_hook=_join_pairs)
        yield from decoded if isinstance(decoded, list) else [decoded]
    elif body.lstrip(_BLANK).startswith(b"["):
        for rows in decode_rows(body):
            yield from rows
    else:
        yield msgspec.json.decode(body)


def _join_pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The values of a key that comes several times are a list."""
    joined: dict[str, Any] = {}
    for key, value in pairs:
        joined[key] = [joined[key], value] if key in joined else value
    return joined


def _may_repeat_keys(items: Sequence[SelectItem]) -> bool:
    """Whether what follows a relation may have its key too: the usual decoder keeps the last value alone."""
    known: set[str] = set()
    for item in items:
        if isinstance(item, SelectRelation):
            if item.is_spread or _may_repeat_keys(item.items):
                return True
            key = item.alias or item.name
            if key in known:
                return True
            known.add(key)
        elif known and (item.field.name == "*" or (item.alias or item.field.name) in known or item.field.path):
            return True
    return False


# Counting -------------------------------------------------------------------------------------------------


def _count_row(relations: Sequence[SelectRelation], row: Any) -> int:
    if not isinstance(row, dict):
        return 1
    return 1 + sum(_count_related(one, row) for one in relations)


def _count_related(relation: SelectRelation, row: dict[str, Any]) -> int:
    """Rows that are spread are values of the row itself: one, or as many as there are in its longest list."""
    inner = _list_relations(relation.items)
    if relation.is_spread:
        own = (_count_leaves(row.get(key)) for key in _list_spread_keys(relation, row))
        return max([1, *own]) + sum(_count_related(one, row) for one in inner)
    return _count_found(inner, row.get(relation.alias or relation.name))


def _list_spread_keys(relation: SelectRelation, row: dict[str, Any]) -> Iterable[str]:
    """The keys of the row that may hold values of spread rows."""
    fields = [item for item in relation.items if isinstance(item, SelectField)]
    if any(one.field.name == "*" or one.field.path or one.aggregate for one in fields):
        return row
    return [one.alias or one.field.name for one in fields]


def _count_found(relations: Sequence[SelectRelation], found: Any) -> int:
    if isinstance(found, list):
        return sum(_count_found(relations, one) for one in found)
    return 0 if found is None else _count_row(relations, found)


def _count_leaves(value: Any) -> int:
    return sum(map(_count_leaves, value)) if isinstance(value, list) else 1
