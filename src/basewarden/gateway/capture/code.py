"""Whether a write may run code that is not PostgreSQL's own, so that its changes must be counted."""

from basewarden.pgrest import InsertPlan, Name, Schema, UpdatePlan, WritePlan


def may_run_code(schema: Schema, plan: WritePlan) -> bool:
    """By its triggers, by what its tables are made of, or because the request asks for more than stored columns."""
    return may_reach_code(schema, plan.table.qualified) or asks_for_code(plan)


def may_reach_code(schema: Schema, name: Name) -> bool:
    """By its triggers, or by what it and the tables that its foreign keys reach are made of."""
    return name in schema.tables_before_triggers or name in schema.tables_before_code


def asks_for_code(plan: WritePlan) -> bool:
    """Columns that are computed, values that are cast, rows of other tables, a body of the project's own making."""
    if plan.body.kind == "custom" or plan.tree.embeds or any(True for _ in (*plan.functions(), *plan.casts())):
        return True
    given = plan.columns if isinstance(plan, InsertPlan | UpdatePlan) else ()
    return any(one.transform for one in given) or any(one.column.transform for one in plan.tree.outputs)
