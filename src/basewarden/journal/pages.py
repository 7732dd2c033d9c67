"""`/c/<id>/sessions`: the sessions of a connection, their writes and rows."""

from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Role, Viewer, count_agents, list_reads, make_session_dialog
from basewarden.core.brief import make_brief
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import queries, service
from basewarden.journal.refusals import read_remedies
from basewarden.journal.routes import ReconcilerDep
from basewarden.journal.row_names import RowNamesDep
from basewarden.journal.session_figures import list_figures
from basewarden.journal.session_filters import PERIODS, ListParameters, ParametersDep
from basewarden.journal.sessions import SessionSummary, list_callers, list_tables
from basewarden.journal.timeline import (
    Timeline,
    hide_requests,
    mark_all_undone,
    mark_undone,
    name_rows,
    read_timeline,
    read_write,
)
from basewarden.web import PagesDep, Reading

router = APIRouter(prefix="/c/{connection_id}/sessions", include_in_schema=False)


_TABS = (
    ("all", "All"),
    ("active", "Active"),
    ("frozen", "Frozen"),
    ("ended", "Ended"),
    ("undone", "Undone"),
    ("partly_undone", "Partly undone"),
)
_DONE = {
    "frozen": "Session frozen. It accepts no writes until it is released.",
    "released": "Session released. It accepts writes again, with a new budget.",
}


@router.get("")
async def get_list(
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    reconciler: ReconcilerDep,
    parameters: ParametersDep,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    connection_id = member.connection.id
    await reconciler.try_reconcile(connection_id)
    page = await service.list_sessions(db, connection_id, parameters.read(), cursor=cursor, is_exact=False)
    here = f"/c/{connection_id}/sessions"
    return pages.render(
        request,
        "journal/sessions.html",
        here=here,
        sessions=page.sessions,
        has_agents=await count_agents(db, connection_id) > 0,
        can_undo=member.role.includes(Role.EDITOR),
        current=parameters.status or "all",
        parameters=parameters,
        tabs=[(key, text, here + parameters.encode(status="" if key == "all" else key), None) for key, text in _TABS],
        callers=[(str(caller), name) for caller, name in await list_callers(db, connection_id)],
        tables=_list_choices(await list_tables(db, connection_id), parameters.short_table),
        periods=list(PERIODS.items()),
        without={
            "who": here + parameters.encode(who=""),
            "table": here + parameters.encode(table=""),
            "period": here + parameters.encode(period="", since="", until=""),
        },
        is_first=cursor is None,
        first_href=here + parameters.encode(),
        unfiltered_href=here + ListParameters(status=parameters.status).encode(),
        next_href=here + parameters.encode(cursor=page.next_cursor) if page.next_cursor else None,
    )


def _list_choices(tables: Iterable[str], chosen: str) -> list[tuple[str, str]]:
    """The tables to choose from, with the chosen one in any case."""
    names = {table.removeprefix("public.") for table in tables} | ({chosen} if chosen else set())
    return [(name, make_brief(name)) for name in sorted(names)]


@router.get("/{session_id}")
async def get_session(
    request: Request,
    session_id: str,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    reconciler: ReconcilerDep,
    names: RowNamesDep,
    write: UUID | None = None,
    after: str | None = None,
) -> Response:
    """`write` shows one write with all its rows; `after` is the write, or the row of that write, to continue after."""
    await reconciler.try_reconcile(member.connection.id)
    summary = await service.get_session(db, member.connection.id, session_id)
    path = f"/c/{member.connection.id}/sessions/{summary.session.id}"
    timeline = await name_rows(await _read(db, summary, path, write, after), member, names)
    if summary.undone is not None:
        timeline = await mark_undone(db, timeline, summary.undone)
    elif summary.session.status == "undone":
        timeline = mark_all_undone(timeline)
    if summary.session.kind == "member":
        timeline = hide_requests(timeline)
    agent_id = summary.session.agent_id
    reads = await list_reads(db, agent_id) if agent_id is not None else ()
    remedies = await read_remedies(db, member, [agent_id] if agent_id is not None and timeline.refusals else [])
    return pages.render(
        request,
        "journal/session.html",
        here=path,
        summary=summary,
        session=summary.session,
        figures=list_figures(summary.changes),
        timeline=timeline,
        remedies={one.code: remedies.find(agent_id, one.code) for one in timeline.refusals} if agent_id else {},
        viewer_id=member.person.id,
        write=write,
        next_href=_find_next(path, timeline, write),
        previous_href=_find_previous(path, write, after),
        can_undo=member.role.includes(Role.EDITOR),
        can_freeze=member.role.includes(Role.EDITOR) and summary.session.kind != "undo",
        release_dialog=make_session_dialog(has_read=bool(reads)),
        reads=reads,
        done=_DONE.get(request.query_params.get("done", "")),
        is_just_frozen=request.query_params.get("done") == "frozen",
        **await _read_undo(db, summary),
    )


async def _read(db: ReadSession, summary: SessionSummary, path: str, write: UUID | None, after: str | None) -> Timeline:
    if write is None:
        return await read_timeline(db, summary.session.id, path, _parse(UUID, after), summary.undone)
    found = await queries.find_write(db, summary.session.id, write)
    if found is None:
        raise NotFound("There is no such write.")
    return await read_write(db, found, service.bound_position(_parse(int, after) or 0), summary.undone)


async def _read_undo(db: ReadSession, summary: SessionSummary) -> dict[str, Any]:
    undo = await queries.find_undo_of(db, summary.session.id)
    undone_by = undo if undo is not None and summary.session.status not in ("open", "held") else None
    return {"undone_by": undone_by, "receipt": summary.session.receipt}


def _parse(kind: type[Any], text: str | None) -> Any:
    try:
        return kind(text) if text is not None else None
    except ValueError:
        raise NotFound from None


def _find_next(path: str, timeline: Timeline, write: UUID | None) -> str | None:
    if write is not None and timeline.next_position is not None:
        return f"{path}?{urlencode({'write': write, 'after': timeline.next_position})}"
    return f"{path}?{urlencode({'after': timeline.next_write})}" if timeline.next_write else None


def _find_previous(path: str, write: UUID | None, after: str | None) -> str | None:
    """Returns the link to the first page of this write's rows, or of this session's writes."""
    if write is not None and after is not None:
        return f"{path}?{urlencode({'write': write})}"
    return path if write is not None or after is not None else None
