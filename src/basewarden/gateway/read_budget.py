"""Keeps a read within what its caller may still read this hour: bounded before it runs, counted before it is answered.

Related rows count too. What a function returns counts by its rows, whatever is in one of them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from basewarden.gateway.rest import RestCall
from pgrest import (
    ReadNode,
    ReadPlan,
    Request,
    SelectItem,
    SelectRelation,
    join_query,
    media_not_available,
    split_query,
)

_JSON, _CSV = "json", "text/csv"
_LIMIT = "limit"
_MOST_DIGITS = 10


def bound_read(plan: ReadPlan, left: int) -> ReadPlan:
    """One row more than is left tells that there are more. The same for each list of related rows."""
    return replace(plan, tree=_bound_node(plan.tree, left + 1))


def _bound_node(node: ReadNode, most: int) -> ReadNode:
    embeds = tuple(replace(embed, node=_bound_node(embed.node, most)) for embed in node.embeds)
    return replace(node, range=node.range.restrict(most), embeds=embeds)


def bound_call(call: RestCall, left: int) -> RestCall:
    """The same for a request that is passed on, as far as its own rows go; its answer is to come uncompressed."""
    pairs = split_query(call.query)
    asked = next((value for name, value in pairs if name == _LIMIT), None)
    is_number = asked is not None and asked.isascii() and asked.isdigit() and len(asked) <= _MOST_DIGITS
    is_less = asked is not None and is_number and int(asked) <= left
    if not is_less:
        pairs = [*(pair for pair in pairs if pair[0] != _LIMIT), (_LIMIT, str(left + 1))]
    headers = [pair for pair in call.headers if pair[0] != b"accept-encoding"]
    return msgspec.structs.replace(call, query=join_query(pairs).encode(), headers=headers)


def count_rows(request: Request, body: bytes | memoryview, media_type: str) -> int:
    """The rows of an answer. Raises PgrestError for a type that they cannot be counted in."""
    relations = _list_relations(request.query.select)
    if not body:
        return 0
    if _JSON in media_type.partition(";")[0] and "geo" not in media_type:
        decoded = msgspec.json.decode(body)
        return sum(_count_row(relations, row) for row in (decoded if isinstance(decoded, list) else [decoded]))
    if media_type.startswith(_CSV) and not relations:
        return max(0, sum(1 for _ in csv.reader(io.StringIO(bytes(body).decode()))) - 1)
    raise media_not_available([media_type])


def _list_relations(items: Iterable[SelectItem]) -> list[SelectRelation]:
    return [item for item in items if isinstance(item, SelectRelation)]


def _count_row(relations: Sequence[SelectRelation], row: Any) -> int:
    if not isinstance(row, dict):
        return 1
    return 1 + sum(_count_related(one, row) for one in relations)


def _count_related(relation: SelectRelation, row: dict[str, Any]) -> int:
    """Rows that are spread into lists have one value in each of them."""
    if relation.is_spread:
        return max((len(value) for value in row.values() if isinstance(value, list)), default=1)
    found = row.get(relation.alias or relation.name)
    related = found if isinstance(found, list) else [] if found is None else [found]
    inner = _list_relations(relation.items)
    return sum(_count_row(inner, one) for one in related)
