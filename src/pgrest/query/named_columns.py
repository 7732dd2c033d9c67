"""Lists the columns whose values a request may learn of: those that it shows, filters, orders or joins by.

The keys of a JSON value that it follows are listed with them, as `email` of `data->>email`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pgrest.config import Name
from pgrest.query.plan import CallPlan, DatabasePlan, InsertPlan, WritePlan
from pgrest.query.tree import ColumnRef, Output, ReadNode
from pgrest.schema.model import Column, Relationship, Table

ALL_COLUMNS = "*"
_BUILT_IN = "pg_catalog"  # as `record`, and the type of a single column
ColumnName = tuple[Name, str]
"""A table, or the function whose rows are not a table's, and one of its columns; ALL_COLUMNS stands for all of them."""


class NamedColumns(NamedTuple):
    """`learned` are those whose values the request may learn of: a masked column is not among them.

    `shown` are those that the answer shows of rows that were there before, `masked` those that it shows as masks.
    """

    learned: frozenset[ColumnName]
    shown: frozenset[ColumnName] = frozenset()
    masked: frozenset[ColumnName] = frozenset()


def list_named_columns(plan: DatabasePlan) -> NamedColumns:
    """Of new rows, what the request itself gave is not learned by it."""
    root = _name_rows(plan) if isinstance(plan, CallPlan) else plan.table.qualified
    conditions = plan.tree.conditions
    if isinstance(plan, WritePlan):
        conditions = (*plan.conditions, *conditions)
    tested = {(root, name) for test in conditions for one in test.columns() for name in _list_names(one)}
    if plan.body.kind == "none" and isinstance(plan, WritePlan):
        return NamedColumns(frozenset(tested))
    tested.update(_list_joined(plan.tree))
    if not isinstance(plan, WritePlan) and plan.is_head:
        return NamedColumns(frozenset(tested))
    shown = set(_list_outputs(plan.tree, root, _is_plain))
    if not plan.tree.outputs and not plan.tree.embeds:
        shown.add((root, ALL_COLUMNS))
    masked = set(_list_outputs(plan.tree, root, _is_masked))
    learned = shown.union(_list_ordered(plan.tree, root))
    if isinstance(plan, InsertPlan) and not plan.is_upsert:
        made = _drop_given(plan, learned)
        return NamedColumns(frozenset([*tested, *made]), _leave_out(shown, root), _leave_out(masked, root))
    return NamedColumns(frozenset([*tested, *learned]), frozenset(shown), frozenset(masked))


def _leave_out(columns: Iterable[ColumnName], table: Name) -> frozenset[ColumnName]:
    return frozenset(one for one in columns if one[0] != table)


def _drop_given(plan: InsertPlan, shown: Iterable[ColumnName]) -> Iterator[ColumnName]:
    """Of new rows only what the database gives them is news: by defaults, by triggers."""
    table, given = plan.table, {column.name for column in plan.columns}
    made = [column for column in table.columns.values() if column.name not in given and _is_made(table, column)]
    for name, column in shown:
        if name == table.qualified and column == ALL_COLUMNS:
            yield from ((name, one.name) for one in made)
        elif name != table.qualified or column not in given:
            yield name, column


def _is_made(table: Table, column: Column) -> bool:
    return bool(column.default or column.identity or column.generated or table.has_triggers)


def _name_rows(plan: CallPlan) -> Name:
    """The table or type whose rows a function returns; else the function itself."""
    if plan.tree.table is not None:
        return plan.tree.table.qualified
    function = plan.function
    has_type = function.returns_composite and function.return_schema != _BUILT_IN
    return (function.return_schema, function.return_type) if has_type else function.qualified


def _list_outputs(node: ReadNode, name: Name, takes: Callable[[Output], bool]) -> Iterator[ColumnName]:
    below = _list_targets(node)
    for output in (*node.outputs, *node.spread_extras):
        if takes(output):
            for one in [name] if output.relation is None else below:
                yield from ((one, shown) for shown in _list_names(output.column))
    for embed in node.embeds:
        yield from _list_outputs(embed.node, _name_target(embed.node), takes)


def _list_ordered(node: ReadNode, name: Name) -> Iterator[ColumnName]:
    below = _list_targets(node)
    for term in (*node.order, *node.spread_order):
        for one in [name] if term.relation is None else below:
            yield from ((one, shown) for shown in _list_names(term.column))
    for embed in node.embeds:
        yield from _list_ordered(embed.node, _name_target(embed.node))


def _list_targets(node: ReadNode) -> list[Name]:
    return [_name_target(embed.node) for embed in node.embeds]


def _is_plain(output: Output) -> bool:
    return output.column.mask is None and not _counts_rows(output)


def _is_masked(output: Output) -> bool:
    return output.column.mask is not None


def _list_names(column: ColumnRef) -> Iterator[str]:
    yield column.name
    yield from (step.operand for step in column.path if not step.is_index)


def _counts_rows(output: Output) -> bool:
    return output.column.name == ALL_COLUMNS and output.aggregate is not None


def _list_joined(node: ReadNode) -> Iterator[ColumnName]:
    """What related rows are found and filtered by."""
    for embed in node.embeds:
        child, target = embed.node, _name_target(embed.node)
        tested = (one for test in child.conditions for one in test.columns())
        yield from ((target, name) for one in tested for name in _list_names(one))
        if child.relationship is not None:
            yield from _list_keys(child.relationship)
        yield from _list_joined(child)


def _list_keys(relationship: Relationship) -> Iterator[ColumnName]:
    middle = relationship.junction
    if middle is None:
        yield from ((relationship.table, ours) for ours, _ in relationship.columns)
        yield from ((relationship.target, theirs) for _, theirs in relationship.columns)
        return
    yield from ((relationship.table, ours) for ours, _ in middle.source_columns)
    yield from ((relationship.target, ours) for ours, _ in middle.target_columns)
    yield from ((middle.table, theirs) for _, theirs in (*middle.source_columns, *middle.target_columns))


def _name_target(node: ReadNode) -> Name:
    if node.table is not None:
        return node.table.qualified
    return node.source if node.relationship is None else node.relationship.target
