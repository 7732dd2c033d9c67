"""`/api/connections/<id>/schema/history`: the versions of a connection's schema."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from basewarden.connections import Membership, Viewer
from basewarden.errors import NotFound
from basewarden.gateway import NeedsPostgres
from basewarden.sentry.history.bodies import diff_body, version_body
from basewarden.sentry.history.schemas import SchemaDiffOut, SchemaVersionsOut
from basewarden.sentry.history.service import SchemaVersions
from basewarden.web import answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/schema", tags=["sentry"])

SchemaVersionsDep = Annotated[SchemaVersions, Depends(inject(SchemaVersions))]
MAX_PAGE: Final = 200
MAX_NUMBER: Final = 999_999_999
VersionNumber = Annotated[int, Query(ge=1, le=MAX_NUMBER)]
ChangeOffset = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get(
    "/history",
    response_model=None,
    responses={**answer_with(SchemaVersionsOut), **declare(NeedsPostgres)},
    summary="Lists the versions of the schema, the newest first.",
)
async def get_history(
    member: Viewer,
    versions: SchemaVersionsDep,
    cursor: VersionNumber | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A version is stored when something has changed. It needs a Postgres connection string."""
    check_direct(member)
    head, found = await versions.list_page(member.connection.id, limit + 1, cursor)
    page = found[:limit]
    return {
        "versions": [version_body(one) for one in page],
        "checkedAt": head.checked_at.isoformat() if head and head.checked_at else None,
        "problem": head.problem if head else None,
        "nextCursor": page[-1].number if len(found) > limit else None,
    }


@router.get(
    "/history/{number}/diff",
    response_model=None,
    responses={**answer_with(SchemaDiffOut), **declare(NotFound, NeedsPostgres)},
    summary="Returns what changed in a version of the schema, in words and as SQL.",
)
async def get_diff(
    number: str,
    member: Viewer,
    versions: SchemaVersionsDep,
    since: Annotated[VersionNumber | None, Query(alias="from")] = None,
    offset: ChangeOffset = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> dict[str, Any]:
    """Compared with the version before it, or with the version `from`. The SQL describes a change and was not run."""
    check_direct(member)
    return diff_body(await versions.read_diff(member.connection.id, number, since, offset, limit), offset)


def check_direct(member: Membership) -> None:
    """Raises NeedsPostgres."""
    if not member.connection.is_direct:
        raise NeedsPostgres
