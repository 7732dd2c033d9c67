"""Checks a request against the caller's limits, as far as that is possible without the project's catalog."""

from dataclasses import replace

from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import ColumnRulesUnsupported, RoleUnsupported
from basewarden.gateway.policy import check_head, check_plan
from basewarden.policy import Policy, ReadOnly, TableDenied
from pgrest import (
    METHODS_WITH_BODY,
    InfoPlan,
    NarrowedSchema,
    OpenApiPlan,
    Payload,
    Request,
    RestConfig,
    Schema,
    SelectRelation,
    media_not_available,
    plan_request,
)

_GET_HINT = "Call it with GET, so that the project runs it in a read-only transaction."
_NO_ROWS = Payload(b"[]")


def check_request(caller: Caller, request: Request) -> None:
    """What holds whatever the project's tables are."""
    if caller.db_role is not None or caller.claims:
        raise RoleUnsupported(hint="Its owner can add a Postgres connection string, or create another token.")
    if caller.policy.columns:
        raise ColumnRulesUnsupported(hint="Its owner can add a Postgres connection string, or create another token.")
    check_head(caller.policy, request, None)
    if request.resource.kind == "function" and request.method == "POST" and not caller.can_write:
        raise ReadOnly(hint=_GET_HINT)
    if request.resource.kind == "function" and request.method == "POST" and caller.max_read_rows is not None:
        raise ReadOnly("The rows that this call returns could not be counted before they are read.", hint=_GET_HINT)


def check_limits(
    policy: Policy, request: Request, schema: Schema | None, narrowed: NarrowedSchema, config: RestConfig
) -> None:
    """That a caller with a list stays within it. Raises PgrestError too, where it takes a plan to know.

    The body does not matter for that. `schema` is None where the project does not list its tables.
    """
    if request.resource.kind == "root":
        raise TableDenied("This token may not read the description of the whole schema.")
    if request.method == "OPTIONS":
        return
    if any(accepted.plan is not None for accepted in request.accept):  # it would name what a view is made of
        raise media_not_available(accepted.mime() for accepted in request.accept)
    if request.resource.kind == "function" or schema is None:
        _check_alone(request)
        return
    body = _NO_ROWS if request.method in METHODS_WITH_BODY else None
    plan = plan_request(narrowed, replace(request, payload=body), config)
    assert not isinstance(plan, InfoPlan | OpenApiPlan)
    check_plan(policy, plan)


def _check_alone(request: Request) -> None:
    """Raises TableDenied where rows of other tables are embedded: their tables are not known."""
    if any(isinstance(item, SelectRelation) for item in request.query.select):
        raise TableDenied(
            "This token is limited to a list of tables, and this project does not reveal the tables of related rows.",
            hint="Request each table separately, or give the connection a secret key or a Postgres connection string.",
        )
