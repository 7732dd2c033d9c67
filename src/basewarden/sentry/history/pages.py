"""`/c/<id>/schema`: the versions of a connection's schema, and what changed in each."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Membership, Role, Viewer
from basewarden.sentry.history.routes import ChangeOffset, SchemaVersionsDep, VersionNumber
from basewarden.sentry.history.service import MOST_ON_A_PAGE, SchemaDiff
from basewarden.sentry.history.view import show_version
from basewarden.web import PagesDep, highlight

router = APIRouter(prefix="/c/{connection_id}/schema", include_in_schema=False)

VERSION_ROWS: Final = 30
CHANGE_ROWS: Final = 100


@router.get("")
async def get_list(
    request: Request,
    member: Viewer,
    versions: SchemaVersionsDep,
    pages: PagesDep,
    cursor: VersionNumber | None = None,
) -> Response:
    head, found = await versions.list_page(member.connection.id, VERSION_ROWS + 1, cursor)
    here, page = _path(member), found[:VERSION_ROWS]
    return pages.render(
        request,
        "sentry/schema.html",
        here=here,
        head=head,
        versions=[show_version(one, member.person.id) for one in page],
        can_scan=member.role.includes(Role.EDITOR),
        is_first=cursor is None,
        next_href=f"{here}?cursor={page[-1].number}" if len(found) > VERSION_ROWS else None,
    )


@router.get("/{number}")
async def get_version(
    *,
    request: Request,
    number: str,
    member: Viewer,
    versions: SchemaVersionsDep,
    pages: PagesDep,
    since: Annotated[VersionNumber | None, Query(alias="from")] = None,
    offset: ChangeOffset = 0,
) -> Response:
    diff = await versions.read_diff(member.connection.id, number, since, offset, CHANGE_ROWS, MOST_ON_A_PAGE)
    shown = show_version(diff.version, member.person.id)
    here = f"{_path(member)}/{shown.number}"
    link = f"{here}?{f'from={since}&' if since else ''}offset="
    end = offset + len(diff.changes)
    return pages.render(
        request,
        "sentry/schema_version.html",
        here=here,
        version=shown,
        diff=diff,
        coloured=await asyncio.to_thread(_colour, diff),
        first=offset + 1,
        end=end,
        previous_href=f"{link}{max(0, offset - CHANGE_ROWS)}" if offset else None,
        next_href=f"{link}{end}" if diff.changes and end < diff.total else None,
    )


def _colour(diff: SchemaDiff) -> list[Markup]:
    """The SQL of each change."""
    return [highlight(one.sql, "sql") for one in diff.changes]


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/schema"
