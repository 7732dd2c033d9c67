"""Whether a plan is within the caller's limits. Nothing has touched the database's rows yet."""

from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import FilterRequired, NotCaptured, ReadOnly, TableDenied
from basewarden.pgrest import (
    CallPlan,
    DatabasePlan,
    DeletePlan,
    InsertPlan,
    Name,
    Reach,
    Request,
    Schema,
    TableKind,
    UpdatePlan,
)

_CAPTURED_KINDS: frozenset[TableKind] = frozenset({"table", "partitioned"})


def check_plan(caller: Caller, plan: DatabasePlan) -> None:
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
    if isinstance(plan, InsertPlan | UpdatePlan | DeletePlan):
        _check_functions(plan)


def _check_functions(plan: DatabasePlan) -> None:
    for function in plan.functions():
        if function.volatility == "v":
            raise NotCaptured(
                f"{function.name[1]} is a volatile function, so what it does within a write cannot be recorded.",
                hint="Call it in a request of its own, or declare it STABLE where it only reads.",
            )


def tell_reach(caller: Caller, schema: Schema) -> Reach:
    """What the description of the schema may tell this caller: no more than `check_plan` lets through."""
    written = _CAPTURED_KINDS if caller.can_write else frozenset()
    if caller.tables is None:
        return Reach(written=written, calls_volatile=caller.can_write)
    tables = frozenset(name for name in schema.tables if _spell_table(name) in caller.tables)
    return Reach(
        tables=tables,
        functions=frozenset(
            one.oid
            for name, overloads in schema.functions.items()
            if _spell_function(name) in caller.tables
            for one in overloads
            if one.answer in tables or one.answer not in schema.tables
        ),
        written=written,
        calls_volatile=caller.can_write,
    )


def check_question(caller: Caller, request: Request) -> None:
    """OPTIONS plans nothing, but its answer tells that something is there."""
    if caller.tables is not None and request.resource.kind != "root":
        asked = (request.schema, request.resource.name)
        name = _spell_function(asked) if request.resource.kind == "function" else _spell_table(asked)
        if name not in caller.tables:
            raise TableDenied(details={"denied": [name]})


def _check_tables(allowed: frozenset[str], plan: DatabasePlan) -> None:
    used = {_spell_table(name) for name in plan.tables_read | plan.tables_written}
    if isinstance(plan, CallPlan):
        used.add(_spell_function(plan.function.qualified))
    used.update(_spell_function(function.name) for function in plan.functions())
    used.update(f"type/{name}" for name in plan.casts())
    denied = sorted(used - allowed)
    if denied:
        raise TableDenied(details={"denied": denied})


def _spell_table(name: Name) -> str:
    return ".".join(name)


def _spell_function(name: Name) -> str:
    return f"rpc/{_spell_table(name)}"
