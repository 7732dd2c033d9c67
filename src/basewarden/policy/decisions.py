"""Decides on a request, and then on its plan. Pure: what is not known to be allowed is refused.

A caller with a list of tables is refused the same way whether what it names exists or not, and learns no name that it
did not send.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from basewarden.errors import AppError
from basewarden.policy.errors import (
    ColumnDenied,
    EgressBlocked,
    ReadOnly,
    cascade_denied,
    cascade_read_only,
    filter_required,
    table_denied,
    table_read_only,
    write_denied,
)
from basewarden.policy.model import Policy
from pgrest import (
    CallPlan,
    ColumnName,
    DatabasePlan,
    DeletePlan,
    InsertPlan,
    Name,
    Reach,
    Request,
    Schema,
    TableKind,
    UpdatePlan,
    WritePlan,
)

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Allowed:
    pass


@dataclass(frozen=True, slots=True)
class Refused:
    error: AppError


Decision = Allowed | Refused
ALLOWED = Allowed()


def decide_head(policy: Policy, request: Request, schema: Schema | None) -> Decision:
    """What can be decided before the body is read; without a snapshot, all that is not about functions.

    The list comes before a function's volatility, which would show that the function exists.
    """
    kind, name = request.resource.kind, (request.schema, request.resource.name)
    is_write = request.method in _WRITES
    if kind == "table" and is_write and not policy.can_write:
        return Refused(ReadOnly())
    if kind == "table" and not policy.may_read(name):
        return Refused(table_denied(name))
    if kind == "function" and not policy.may_call(name):
        return Refused(table_denied(name, is_function=True))
    if kind == "table" and is_write and not policy.may_change(name):
        return Refused(table_read_only(name))
    if kind == "function" and is_write and not policy.can_write and _always_writes(request, schema):
        return Refused(ReadOnly())
    if is_write and policy.closed and (kind == "function" or name in policy.closed):
        return Refused(EgressBlocked(policy.closed.get(name) or _list_all(policy.closed)))
    if request.method in ("PATCH", "DELETE") and policy.needs_filter and not _is_filtered(request):
        return Refused(filter_required())
    return ALLOWED


def decide(policy: Policy, plan: DatabasePlan) -> Decision:
    if not plan.read_only and not policy.can_write:
        return Refused(ReadOnly())
    if policy.names is not None:
        refused = _decide_names(policy, plan)
        if refused is not None:
            return refused
    if policy.columns:
        refused = _decide_columns(policy, plan)
        if refused is not None:
            return refused
    if policy.needs_filter and isinstance(plan, UpdatePlan | DeletePlan) and not plan.is_filtered:
        return Refused(filter_required())
    return ALLOWED


def decide_cascade(policy: Policy, table: Name) -> Decision:
    """Whether a foreign key may change rows of this table as a consequence of the caller's write."""
    if table in policy.closed:
        return Refused(EgressBlocked(policy.closed[table]))
    if policy.may_change(table):
        return ALLOWED
    return Refused(cascade_read_only(table) if policy.may_read(table) else cascade_denied())


def find_reach(policy: Policy, schema: Schema, kinds: frozenset[TableKind]) -> Reach:
    """The part of the schema that its description shows to this caller: what `decide` allows.

    `kinds` are the kinds of table that can be written at all.
    """
    written = kinds if policy.can_write else frozenset()
    if policy.names is None:
        return Reach(written=written, calls_volatile=policy.can_write)
    tables = frozenset(filter(policy.may_read, schema.tables))
    functions = (one for name, found in schema.functions.items() if policy.may_call(name) for one in found)
    return Reach(
        tables=tables,
        functions=frozenset(one.oid for one in functions if one.answer in tables or one.answer not in schema.tables),
        written=written,
        read_only=policy.read_only_tables,
        calls_volatile=policy.can_write,
        denied={name: rules.denied for name, rules in policy.columns.items()},
    )


def _list_all(closed: Mapping[Name, Sequence[ColumnName]]) -> list[ColumnName]:
    return sorted({one for reads in closed.values() for one in reads})


def _always_writes(request: Request, schema: Schema | None) -> bool:
    """Whether all overloads are volatile: if only some are, the arguments decide which one is meant."""
    overloads = schema.functions.get((request.schema, request.resource.name), ()) if schema is not None else ()
    return bool(overloads) and all(one.volatility == "v" for one in overloads)


def _is_filtered(request: Request) -> bool:
    """Conditions on the table itself: one on related rows chooses none of it."""
    query = request.query
    return any(not one.path for one in query.filters) or any(not one.path for one in query.logic)


def _decide_names(policy: Policy, plan: DatabasePlan) -> Refused | None:
    """What is meant is not always what was sent: only the latter is said."""
    is_call = isinstance(plan, CallPlan)
    asked = plan.function.qualified if isinstance(plan, CallPlan) else plan.table.qualified
    if not all(map(policy.may_read, plan.tables_read | plan.tables_written)) or not _may_call_all(policy, plan):
        return Refused(table_denied(asked, is_function=is_call))
    if not all(map(policy.may_change, plan.tables_written)):
        return Refused(table_read_only(asked))
    return None


def _decide_columns(policy: Policy, plan: DatabasePlan) -> Refused | None:
    """What a plan names of columns was looked at when it was made."""
    guards = policy.guards
    if guards is None or plan.media.plan is not None:
        return Refused(ColumnDenied())
    if not isinstance(plan, WritePlan):
        return None
    table = plan.table.qualified
    if isinstance(plan, InsertPlan) and table in guards.no_insert:
        return Refused(write_denied())
    if isinstance(plan, DeletePlan):
        return Refused(write_denied()) if table in guards.no_delete else None
    guarded = guards.unwritable.get(table, frozenset())
    if isinstance(plan, UpdatePlan):
        guarded |= guards.unchangeable.get(table, frozenset())
    columns = guarded.intersection(column.name for column in plan.columns)
    return Refused(write_denied(columns)) if columns else None


def _may_call_all(policy: Policy, plan: DatabasePlan) -> bool:
    """A cast to a type of the project's own runs a function that no list can name."""
    called = [function.name for function in plan.functions()]
    if isinstance(plan, CallPlan):
        called.append(plan.function.qualified)
    return all(map(policy.may_call, called)) and not any(True for _ in plan.casts())
