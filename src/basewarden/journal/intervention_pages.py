"""The pages that ask before an agent, or all agents of a connection, are stopped or released; each is a dialog too."""

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import (
    Agent,
    AgentsDep,
    Editor,
    Membership,
    StopDialog,
    find_agent_dialog,
    list_reads,
    make_connection_dialog,
    make_session_dialog,
    parse_agent_id,
)
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import NotFound
from basewarden.journal.intervention_routes import InterventionsDep, ReleaseBody, StopBody
from basewarden.journal.interventions import FreezeAction, Intervener, IntervenerDep, Interventions
from basewarden.journal.models import JournalSession
from basewarden.journal.service import get_session
from basewarden.web import Form, Pages, PagesDep, Reading, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}", include_in_schema=False)

_PAGE = "journal/intervention.html"
_ACTIONS = ("pause", "resume", "freeze", "release")


class StopForm(StopBody):
    model_config = ConfigDict(extra="ignore")


class ReleaseForm(ReleaseBody):
    model_config = ConfigDict(extra="ignore")


@router.get("/agents/{agent_id}/{action}")
async def get_agent_question(
    request: Request, agent_id: str, action: str, member: Editor, db: Reading, pages: PagesDep, agents: AgentsDep
) -> Response:
    """Leads to the agent's page where it is in that state already."""
    _check_action(action)
    agent = await agents.get(db, member.connection.id, parse_agent_id(agent_id))
    dialog = await _find_dialog(db, agent, action)
    if dialog is None:
        return redirect(_path(agent))
    return pages.render(request, _PAGE, typed={}, errors={}, **_describe_agent(agent, dialog))


@router.post("/agents/{agent_id}/{action}")
async def post_agent_action(
    *,
    request: Request,
    agent_id: str,
    action: str,
    by: IntervenerDep,
    db: Writing,
    reading: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    interventions: InterventionsDep,
) -> Response:
    _check_action(action)
    agent = await agents.get(reading, by.member.connection.id, parse_agent_id(agent_id))
    dialog = await _find_dialog(reading, agent, action)
    if dialog is None:
        return redirect(_path(agent))
    form = await _parse(request, dialog)
    if form.data is None:
        return show_again(request, pages, _PAGE, form, **_describe_agent(agent, dialog))
    await interventions.apply_to_agent(db, by, agent.id, dialog.action, form.data.reason)
    return redirect(f"{_path(agent)}?done={action}")


@router.post("/sessions/{session_id}/freeze")
async def post_freeze_session(
    request: Request, session_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep
) -> Response:
    form = await parse_form(request, StopForm)
    await interventions.apply_to_session(db, by, session_id, "freeze", form.data.reason if form.data else None)
    return redirect(f"/c/{by.member.connection.id}/sessions/{parse_id(session_id)}?done=frozen")


@router.get("/sessions/{session_id}/release")
async def get_release_session(
    request: Request, session_id: str, member: Editor, db: Reading, pages: PagesDep
) -> Response:
    found = await get_session(db, member.connection.id, session_id)
    return pages.render(request, _PAGE, typed={}, errors={}, **await _describe_session(db, member, found.session))


@router.post("/sessions/{session_id}/release")
async def post_release_session(
    *,
    request: Request,
    session_id: str,
    by: IntervenerDep,
    db: Writing,
    reading: Reading,
    pages: PagesDep,
    interventions: InterventionsDep,
) -> Response:
    form = await parse_form(request, ReleaseForm)
    if form.data is None:
        found = await get_session(reading, by.member.connection.id, session_id)
        return show_again(request, pages, _PAGE, form, **await _describe_session(reading, by.member, found.session))
    await interventions.apply_to_session(db, by, session_id, "release", form.data.reason)
    return redirect(f"/c/{by.member.connection.id}/sessions/{parse_id(session_id)}?done=released")


@router.get("/freeze")
async def get_freeze_all(request: Request, member: Editor, pages: PagesDep) -> Response:
    """Asks what the state of the connection allows: to freeze all agents, or to release them."""
    return pages.render(request, _PAGE, typed={}, errors={}, **_describe_all(member))


@router.post("/freeze")
async def post_freeze_all_form(
    request: Request, by: IntervenerDep, db: Writing, pages: PagesDep, interventions: InterventionsDep
) -> Response:
    return await _apply_to_all(request, by, db, pages, interventions, "freeze")


@router.post("/release")
async def post_release_all_form(
    request: Request, by: IntervenerDep, db: Writing, pages: PagesDep, interventions: InterventionsDep
) -> Response:
    return await _apply_to_all(request, by, db, pages, interventions, "release")


async def _apply_to_all(
    request: Request, by: Intervener, db: WriteSession, pages: Pages, interventions: Interventions, action: FreezeAction
) -> Response:
    """A second press changes nothing."""
    asked = _describe_all(by.member)
    if asked["dialog"].action == action:
        form = await _parse(request, asked["dialog"])
        if form.data is None:
            return show_again(request, pages, _PAGE, form, **asked)
        await interventions.apply_to_all(db, by, action, form.data.reason)
    return redirect(f"/c/{by.member.connection.id}/agents?done=all-{action}")


def _describe_all(member: Membership) -> dict[str, Any]:
    home = f"/c/{member.connection.id}"
    room = ("Agents", "agents")
    return {"dialog": make_connection_dialog(member.connection), "agent": None, "room": room, "path": home}


async def _describe_session(db: ReadSession, member: Membership, session: JournalSession) -> dict[str, Any]:
    path = f"/c/{member.connection.id}/sessions/{session.id}"
    has_read = session.agent_id is not None and bool(await list_reads(db, session.agent_id))
    return {
        "dialog": make_session_dialog(has_read=has_read),
        "agent": None,
        "room": ("Sessions", "sessions"),
        "path": path,
    }


async def _find_dialog(db: ReadSession, agent: Agent, action: str) -> StopDialog | None:
    return find_agent_dialog(agent, action, has_read=bool(await list_reads(db, agent.id)))


async def _parse(request: Request, dialog: StopDialog) -> Form[Any]:
    return await parse_form(request, ReleaseForm if dialog.needs_reason else StopForm)


def _describe_agent(agent: Agent, dialog: StopDialog) -> dict[str, Any]:
    return {"dialog": dialog, "agent": agent, "room": ("Agents", "agents"), "path": _path(agent)}


def _path(agent: Agent) -> str:
    return f"/c/{agent.connection_id}/agents/{agent.id}"


def _check_action(action: str) -> None:
    if action not in _ACTIONS:
        raise NotFound
