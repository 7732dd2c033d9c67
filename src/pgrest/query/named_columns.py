"""Lists the columns whose values a request may learn of: those that it shows, filters, orders or joins by.

The keys of a JSON value that it follows are listed with them, as `email` of `data->>email`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pgrest.config import Name
from pgrest.errors import DatabaseErrorFields
from pgrest.query.plan import CallPlan, DatabasePlan, DeletePlan, InsertPlan, WritePlan
from pgrest.query.tree import ColumnRef, Output, ReadNode
from pgrest.schema.model import Column, Relationship, Table

ALL_COLUMNS = "*"
_NOTHING_SHOWN: frozenset[tuple[Name, str]] = frozenset()
_VIEW_CHECK = "44000"
_SHOW_ROWS = frozenset({"23502", "23503", "23505", "23514", "23P01", _VIEW_CHECK})
"""Errors of constraints, whose details show the row that was to be written, or a key."""
_KEY_VALUES = re.compile(r"\(([^()]*)\)=\(")
_BUILT_IN = "pg_catalog"  # as `record`, and the type of a single column
ColumnName = tuple[Name, str]
"""A table, or the function whose rows are not a table's, and one of its columns; ALL_COLUMNS stands for all of them."""


class NamedColumns(NamedTuple):
    """`learned` are those whose values the request may learn of: a masked column is not among them.

    `shown` are those that the answer shows of rows that were there before, `masked` those that it shows as masks.
    `unplaced` are names of columns that it shows of tables that are not known.
    """

    learned: frozenset[ColumnName]
    shown: frozenset[ColumnName] = frozenset()
    masked: frozenset[ColumnName] = frozenset()
    unplaced: frozenset[str] = frozenset()


def list_named_columns(plan: DatabasePlan) -> NamedColumns:
    """Of new rows, what the request itself gave is not learned by it."""
    root = _name_rows(plan) if isinstance(plan, CallPlan) else plan.table.qualified
    conditions = plan.tree.conditions
    if isinstance(plan, WritePlan):
        conditions = (*plan.conditions, *conditions)
    tested = {(root, name) for test in conditions for one in test.columns() for name in _list_names(one)}
    is_single = isinstance(plan, CallPlan) and (plan.function.returns_scalar or plan.function.returns_scalar_set)
    if is_single and tested:  # whatever it is called, a single value is that of the function
        tested.add((root, ALL_COLUMNS))
    if plan.body.kind == "none" and isinstance(plan, WritePlan):
        return NamedColumns(frozenset(tested))
    tested.update(_list_joined(plan.tree))
    if not isinstance(plan, WritePlan) and plan.is_head:
        return NamedColumns(frozenset(tested))
    shown = set(_list_outputs(plan.tree, root))
    if is_single or not (plan.tree.outputs or plan.tree.embeds):
        shown.add((root, ALL_COLUMNS))
    masked = set(_list_masked(plan.tree, root))
    learned = shown.union(_list_ordered(plan.tree, root))
    if isinstance(plan, InsertPlan) and not plan.is_upsert:
        learned, shown, masked = set(_list_made(plan, learned)), set(), set()
    shown_beside = set(_list_related(plan.tree, _list_outputs))
    return NamedColumns(
        frozenset([*tested, *learned, *shown_beside, *_list_related(plan.tree, _list_ordered)]),
        frozenset(shown | shown_beside),
        frozenset(masked.union(_list_related(plan.tree, _list_masked))),
    )


def list_reported_columns(plan: DatabasePlan, error: DatabaseErrorFields) -> NamedColumns:
    """What the details of an error show of rows that were there: they hold the whole row that failed, or a key."""
    table = None if error.schema is None or error.table is None else (error.schema, error.table)
    if isinstance(plan, WritePlan) and _is_part(plan, table, error.sqlstate):
        table = plan.table.qualified
    if table is None or error.detail is None or error.sqlstate not in _SHOW_ROWS:
        return NamedColumns(_NOTHING_SHOWN)
    key = _KEY_VALUES.search(error.detail)
    names = [ALL_COLUMNS] if key is None else [one.strip('"') for one in key[1].split(", ")]
    shown = {(table, name) for name in names}
    if not isinstance(plan, WritePlan):
        return NamedColumns(frozenset(shown), frozenset(shown))
    if key is not None:  # of a foreign key, the table may be the one or the other
        shown.update((plan.table.qualified, name) for name in names)
    if isinstance(plan, InsertPlan) and not plan.is_upsert and table == plan.table.qualified:
        return NamedColumns(frozenset(_list_made(plan, shown)))
    found = frozenset(_leave_given_out(plan, shown))
    return NamedColumns(found, found)


def _is_part(plan: WritePlan, table: Name | None, sqlstate: str) -> bool:
    """Whether what failed is a row of the plan's table. The error may name a partition, or for a view's check, none."""
    if table is None:
        return sqlstate == _VIEW_CHECK
    return plan.table.kind == "partitioned" and isinstance(plan, InsertPlan)


def _leave_given_out(plan: WritePlan, shown: Iterable[ColumnName]) -> Iterator[ColumnName]:
    """Without what the request itself gave."""
    given = frozenset[str]() if isinstance(plan, DeletePlan) else {one.name for one in plan.columns}
    for table, column in shown:
        if table != plan.table.qualified:
            yield table, column
        elif column == ALL_COLUMNS:
            yield from ((table, name) for name in plan.table.columns if name not in given)
        elif column not in given:
            yield table, column


def _list_made(plan: InsertPlan, shown: Iterable[ColumnName]) -> Iterator[ColumnName]:
    """Of new rows only what the database gives them is news: by defaults, by triggers."""
    table, given = plan.table, _list_given(plan)
    for name, column in shown:
        if column == ALL_COLUMNS:
            rest = (one for one in table.columns.values() if one.name not in given)
            yield from ((name, one.name) for one in rest if _is_made(table, one))
        elif column not in given:
            yield name, column


def _list_given(plan: InsertPlan) -> frozenset[str]:
    """Those that each row of the body gives: where it may leave one out, its default is made."""
    may_leave_out = plan.fills_defaults and plan.payload.is_listed
    return frozenset(one.name for one in plan.columns if one.default is None or not may_leave_out)


def _is_made(table: Table, column: Column) -> bool:
    return bool(column.default or column.identity or column.generated or table.has_triggers)


def _name_rows(plan: CallPlan) -> Name:
    """The table or type whose rows a function returns; else the function itself.

    That of the tree has its name, and may be another one, in the schema of the function.
    """
    function = plan.function
    has_type = function.returns_composite and function.return_schema != _BUILT_IN
    return (function.return_schema, function.return_type) if has_type else function.qualified


def _list_outputs(node: ReadNode, name: Name) -> Iterator[ColumnName]:
    plain = (one for one in node.outputs if one.column.mask is None and not _counts_rows(one))
    return ((name, shown) for output in plain for shown in _list_names(output.column))


def _list_masked(node: ReadNode, name: Name) -> Iterator[ColumnName]:
    masked = (one.column for one in node.outputs if one.column.mask is not None)
    return ((name, shown) for column in masked for shown in _list_names(column))


def _list_ordered(node: ReadNode, name: Name) -> Iterator[ColumnName]:
    """Of rows that are spread, the columns that they are ordered by are selected for that alone."""
    terms = [(one.relation, one.column) for one in node.order]
    terms += [(one.relation, one.column) for one in node.spread_extras]
    for relation, column in terms:
        owners = [name] if relation is None else [_name_target(embed.node) for embed in node.embeds]
        yield from ((one, shown) for one in owners for shown in _list_names(column))


def _list_related(node: ReadNode, list_own: Callable[[ReadNode, Name], Iterable[ColumnName]]) -> Iterator[ColumnName]:
    """What `list_own` says of all embedded rows: they may be of the node's own table, too."""
    for embed in node.embeds:
        yield from list_own(embed.node, _name_target(embed.node))
        yield from _list_related(embed.node, list_own)


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
