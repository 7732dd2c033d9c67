"""Whether a plan may run code that is not PostgreSQL's own, which may do anything: `code.py` says how tables reach it.

What runs none leaves nothing behind in the session, and changes nothing but what its statement says.
"""

from collections.abc import Iterator

from pgrest.config import Name
from pgrest.query.plan import CallPlan, DatabasePlan, DeletePlan, InsertPlan, ReadPlan, UpdatePlan
from pgrest.query.tree import ColumnRef
from pgrest.schema.model import Schema, Table

_STORED_KINDS = ("table", "partitioned")  # of others the catalogue is not asked


def may_run_code(schema: Schema, plan: DatabasePlan, role: str | None) -> bool:
    """`role` is the caller's; None, the connection's own, counts as one that policies are for."""
    match plan:
        case CallPlan():
            return True
        case ReadPlan():
            return _asks_for_code(plan) or any(_is_read_by_code(schema, name, role) for name in plan.tables_read)
        case InsertPlan() | UpdatePlan() | DeletePlan():
            return may_reach_code(schema, plan.table.qualified, role) or bool(plan.tree.embeds) or _asks_for_code(plan)


def may_reach_code(schema: Schema, name: Name, role: str | None = None) -> bool:
    """Whether a write does: by triggers, or by what this table and those that its foreign keys reach are made of."""
    bypasses = role is not None and schema.role_bypasses_rls(role)
    coded = schema.tables_before_code_but_policies if bypasses else schema.tables_before_code
    return name in schema.tables_before_triggers or name in coded


def _is_read_by_code(schema: Schema, name: Name, role: str | None) -> bool:
    table = schema.tables.get(name)
    if table is None or table.kind not in _STORED_KINDS:
        return True
    bypasses = role is not None and schema.role_bypasses_rls(role)
    return _runs_code_for_bypassing(table) if bypasses else table.runs_code


def _runs_code_for_bypassing(table: Table) -> bool:
    return table.runs_code and not table.runs_code_in_policies_only


def _asks_for_code(plan: ReadPlan | InsertPlan | UpdatePlan | DeletePlan) -> bool:
    """Computed columns, values that are cast, a body of the project's own making."""
    if plan.body.kind == "custom" or any(True for _ in (*plan.functions(), *plan.casts())):
        return True
    given = plan.columns if isinstance(plan, InsertPlan | UpdatePlan) else ()
    return any(one.transform for one in given) or any(
        one.transform is not None or one.own_operators is not None for one in _list_columns(plan)
    )


def _list_columns(plan: ReadPlan | InsertPlan | UpdatePlan | DeletePlan) -> Iterator[ColumnRef]:
    for node in plan.tree.walk():
        yield from (output.column for output in (*node.outputs, *node.spread_extras))
        yield from (one.column for one in node.order)
    for condition in plan.all_conditions:
        yield from condition.columns()
