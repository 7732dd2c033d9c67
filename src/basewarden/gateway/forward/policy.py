"""Whether a request is within the caller's limits, as far as they can be told without the project's catalogue."""

from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import FilterRequired, ReadOnly, RoleUnsupported, TableDenied
from basewarden.gateway.policy import check_plan
from basewarden.pgrest import (
    InfoPlan,
    OpenApiPlan,
    Request,
    RestConfig,
    Schema,
    SelectRelation,
    plan_request,
)

_READS = frozenset({"GET", "HEAD"})


def check_request(caller: Caller, request: Request) -> None:
    """What holds whatever the project's tables are."""
    if caller.db_role is not None or caller.claims:
        raise RoleUnsupported(hint="Its maker can give the connection its Postgres address, or make another token.")
    if request.method not in _READS and request.method != "OPTIONS" and not caller.can_write:
        _refuse_write(request)
    if request.method in ("PATCH", "DELETE") and caller.is_agent and not _is_filtered(request):
        raise FilterRequired(hint="Say which rows, for example ?id=eq.1.")


def check_limits(caller: Caller, request: Request, schema: Schema | None, config: RestConfig) -> None:
    """That a caller with a list of tables stays within it. Raises PgrestError too, where it takes a plan to know."""
    if caller.tables is None:
        return
    if request.resource.kind == "root":
        raise TableDenied("This token does not reach the description of the whole schema.")
    _check_name(caller.tables, request)
    if request.method == "OPTIONS":
        return
    if request.resource.kind == "function" or schema is None:
        _check_alone(request)
        return
    plan = plan_request(schema, request, config)
    assert not isinstance(plan, InfoPlan | OpenApiPlan)
    check_plan(caller, plan)


def _refuse_write(request: Request) -> None:
    is_call = request.resource.kind == "function"
    raise ReadOnly(hint="Call it by GET: then the project runs it in a read-only transaction." if is_call else None)


def _is_filtered(request: Request) -> bool:
    """Conditions on the table itself: one on related rows chooses none of it."""
    query = request.query
    return any(not one.path for one in query.filters) or any(not one.path for one in query.logic)


def _check_name(allowed: frozenset[str], request: Request) -> None:
    prefix = "rpc/" if request.resource.kind == "function" else ""
    name = f"{prefix}{request.schema}.{request.resource.name}"
    if name not in allowed:
        raise TableDenied(details={"denied": [name]})


def _check_alone(request: Request) -> None:
    """Related rows are of tables that nobody here can name."""
    if any(isinstance(item, SelectRelation) for item in request.query.select):
        raise TableDenied(
            "This token has a list of tables, and of this project it is not known which tables related rows are in.",
            hint="Ask for each table by itself. A secret key or the Postgres address of the connection would tell.",
        )
