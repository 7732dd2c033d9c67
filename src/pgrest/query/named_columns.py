"""Lists the columns whose values a request may learn of: those that it shows, filters, orders or joins by.

The keys of a JSON value that it follows are listed with them, as `email` of `data->>email`.
"""

from collections.abc import Iterable, Iterator

from pgrest.config import Name
from pgrest.query.plan import CallPlan, DatabasePlan, InsertPlan, WritePlan
from pgrest.query.tree import ColumnRef, Output, ReadNode
from pgrest.schema.model import Column, Relationship, Table

ALL_COLUMNS = "*"
_BUILT_IN = "pg_catalog"  # as `record`, and the type of a single column
ColumnName = tuple[Name, str]
"""A table, or the function whose rows are not a table's, and one of its columns; ALL_COLUMNS stands for all of them."""


def list_named_columns(plan: DatabasePlan) -> frozenset[ColumnName]:
    """A masked column is not among them, since its value is not read; nor is one of new rows that the request gave."""
    root = _name_rows(plan) if isinstance(plan, CallPlan) else plan.table.qualified
    conditions = plan.tree.conditions
    if isinstance(plan, WritePlan):
        conditions = (*plan.conditions, *conditions)
    named = {(root, name) for test in conditions for one in test.columns() for name in _list_names(one)}
    if plan.body.kind == "none" and isinstance(plan, WritePlan):
        return frozenset(named)
    named.update(_list_joined(plan.tree))
    if isinstance(plan, WritePlan) or not plan.is_head:
        shown = _list_shown(plan.tree, root)
        named.update(_drop_given(plan, shown) if isinstance(plan, InsertPlan) and not plan.is_upsert else shown)
        if not plan.tree.outputs and not plan.tree.embeds:
            named.add((root, ALL_COLUMNS))
    return frozenset(named)


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


def _list_shown(node: ReadNode, name: Name) -> Iterator[ColumnName]:
    below = [_name_target(embed.node) for embed in node.embeds]
    for output in (*node.outputs, *node.spread_extras):
        if output.column.mask is None and not _counts_rows(output):
            for one in [name] if output.relation is None else below:
                yield from ((one, shown) for shown in _list_names(output.column))
    for term in (*node.order, *node.spread_order):
        for one in [name] if term.relation is None else below:
            yield from ((one, shown) for shown in _list_names(term.column))
    for embed in node.embeds:
        yield from _list_shown(embed.node, _name_target(embed.node))


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
