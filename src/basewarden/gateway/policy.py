"""Whether a plan is within the caller's limits. Nothing has touched the database's rows yet."""

from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import FilterRequired, NotCaptured, ReadOnly, TableDenied
from basewarden.pgrest import CallPlan, DatabasePlan, DeletePlan, InsertPlan, OpenApiPlan, Request, UpdatePlan

_CAPTURED_KINDS = frozenset({"table", "partitioned"})


def check_plan(caller: Caller, plan: DatabasePlan | OpenApiPlan) -> None:
    if isinstance(plan, OpenApiPlan):
        if caller.tables is not None:
            raise TableDenied("This token does not reach the description of the whole schema.")
        return
    if not plan.read_only and not caller.can_write:
        raise ReadOnly
    if caller.tables is not None:
        _check_tables(caller.tables, plan)
    if isinstance(plan, UpdatePlan | DeletePlan) and caller.is_agent and not plan.is_filtered:
        raise FilterRequired(hint="Say which rows, for example ?id=eq.1.")
    if isinstance(plan, InsertPlan | UpdatePlan | DeletePlan) and plan.table.kind not in _CAPTURED_KINDS:
        raise NotCaptured(
            f"{plan.table.name} is not a table, so its changes cannot be recorded.",
            hint="Write to the table that it is made of.",
        )


def check_question(caller: Caller, request: Request) -> None:
    """OPTIONS plans nothing, but its answer tells that something is there."""
    if caller.tables is not None and request.resource.kind != "root":
        prefix = "rpc/" if request.resource.kind == "function" else ""
        name = f"{prefix}{request.schema}.{request.resource.name}"
        if name not in caller.tables:
            raise TableDenied(details={"denied": [name]})


def _check_tables(allowed: frozenset[str], plan: DatabasePlan) -> None:
    used = {f"{schema}.{name}" for schema, name in plan.tables_read | plan.tables_written}
    if isinstance(plan, CallPlan):
        used.add(f"rpc/{plan.function.schema}.{plan.function.name}")
    denied = sorted(used - allowed)
    if denied:
        raise TableDenied(details={"denied": denied})
