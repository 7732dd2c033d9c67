"""Checks a request, and then its plan, against the caller's limits, before any row is touched.

A caller with a table list is refused the same way whether what it names exists or not, and learns no name that it did
not send.
"""

from collections.abc import Iterable

from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import FilterRequired, ReadOnly, TableDenied
from basewarden.gateway.recording.capturable import CAPTURED_KINDS, check_functions, check_table
from pgrest import (
    CallPlan,
    DatabasePlan,
    DeletePlan,
    Name,
    Reach,
    Request,
    Schema,
    UpdatePlan,
    WritePlan,
)

_RPC = "rpc/"
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def check_head(caller: Caller, request: Request, schema: Schema | None) -> None:
    """What can be decided before the body is read; without a snapshot, all that is not about functions.

    The list comes before a function's volatility, which would show that the function exists.
    """
    kind = request.resource.kind
    is_write = request.method in _WRITES
    if kind == "table" and is_write and not caller.can_write:
        raise ReadOnly
    if caller.tables is not None and kind != "root":
        _check_name(caller.tables, request)
    if kind == "function" and is_write and not caller.can_write and _always_writes(request, schema):
        raise ReadOnly
    if request.method in ("PATCH", "DELETE") and caller.is_agent and not _is_filtered(request):
        raise FilterRequired(hint="Add a filter, for example ?id=eq.1.")


def check_plan(caller: Caller, plan: DatabasePlan, *, again: bool = False) -> None:
    """`again`: what does not depend on the caller was checked before."""
    if not plan.read_only and not caller.can_write:
        raise ReadOnly
    if caller.tables is not None:
        _check_tables(caller.tables, plan)
    if isinstance(plan, UpdatePlan | DeletePlan) and caller.is_agent and not plan.is_filtered:
        raise FilterRequired(hint="Add a filter, for example ?id=eq.1.")
    if isinstance(plan, WritePlan):
        check_table(plan.table)
        if not again:
            check_functions(plan.functions())


def visible_schema_for(caller: Caller, schema: Schema) -> Reach:
    """The part of the schema that its description shows to this caller: what `check_plan` allows."""
    written = CAPTURED_KINDS if caller.can_write else frozenset()
    if caller.tables is None:
        return Reach(written=written, calls_volatile=caller.can_write)
    tables = frozenset(name for name in schema.tables if format_table(name) in caller.tables)
    return Reach(
        tables=tables,
        functions=frozenset(
            one.oid
            for name, overloads in schema.functions.items()
            if format_function(name) in caller.tables
            for one in overloads
            if one.answer in tables or one.answer not in schema.tables
        ),
        written=written,
        calls_volatile=caller.can_write,
    )


def split_tables(allowed: frozenset[str]) -> tuple[frozenset[Name], frozenset[Name]]:
    """The tables and the functions of a caller's list."""
    tables = frozenset(_read_name(one) for one in allowed if not one.startswith(_RPC))
    functions = frozenset(_read_name(one.removeprefix(_RPC)) for one in allowed if one.startswith(_RPC))
    return tables, functions


def list_unknown(schema: Schema | None, names: Iterable[str]) -> list[str]:
    """Which names of a list are of no table and no function; none where the schema is not known."""
    if schema is None:
        return []
    known = {*map(format_table, schema.tables), *map(format_function, schema.functions)}
    unknown = [name for name in names if name not in known]
    return [name for name in unknown if name not in _list_functions_of_rows(schema)] if unknown else []


def _list_functions_of_rows(schema: Schema) -> set[str]:
    """Those that are computed columns or relationships: some cannot be called by themselves."""
    columns = (one.function for found in schema.computed_columns.values() for one in found)
    relationships = (one.function for found in schema.relationships.values() for one in found)
    return {format_function(name) for name in (*columns, *relationships) if name is not None}


def _check_name(allowed: frozenset[str], request: Request) -> None:
    asked = (request.schema, request.resource.name)
    name = format_function(asked) if request.resource.kind == "function" else format_table(asked)
    if name not in allowed:
        raise TableDenied(details={"denied": [name]})


def _always_writes(request: Request, schema: Schema | None) -> bool:
    """Whether all overloads are volatile: if only some are, the arguments decide which one is meant."""
    overloads = schema.functions.get((request.schema, request.resource.name), ()) if schema is not None else ()
    return bool(overloads) and all(one.volatility == "v" for one in overloads)


def _is_filtered(request: Request) -> bool:
    """Conditions on the table itself: one on related rows chooses none of it."""
    query = request.query
    return any(not one.path for one in query.filters) or any(not one.path for one in query.logic)


def _check_tables(allowed: frozenset[str], plan: DatabasePlan) -> None:
    used = {format_table(name) for name in plan.tables_read | plan.tables_written}
    if isinstance(plan, CallPlan):
        used.add(format_function(plan.function.qualified))
    used.update(format_function(function.name) for function in plan.functions())
    used.update(f"type/{name}" for name in plan.casts())
    if used - allowed:  # what is meant is not always what was sent: only that is said
        asked = plan.function.qualified if isinstance(plan, CallPlan) else plan.table.qualified
        name = format_function(asked) if isinstance(plan, CallPlan) else format_table(asked)
        raise TableDenied(details={"denied": [name]})


def format_table(name: Name) -> str:
    return ".".join(name)


def format_function(name: Name) -> str:
    return f"{_RPC}{format_table(name)}"


def _read_name(spelled: str) -> Name:
    schema, _, local = spelled.partition(".")
    return schema, local
