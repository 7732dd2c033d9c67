"""Keeps a read within what its caller may still read this hour: bounded before it runs, counted before it is answered.

How they are counted: `row_counting.py`.
"""

from dataclasses import replace

import msgspec

from basewarden.gateway.rest import RestCall
from pgrest import ReadNode, ReadPlan, join_query, split_query

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
