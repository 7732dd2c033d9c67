"""The page that changes an agent."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, FormConfirmationDep
from basewarden.connections.agent_change_words import FieldChange, describe_agent_change
from basewarden.connections.agent_edit_forms import AgentEditForm, fill_in_edit, make_change
from basewarden.connections.agent_edits import copy_with, make_edit
from basewarden.connections.agent_form_page import AgentFormPageDep
from basewarden.connections.agent_forms import LIST_FIELDS, gather_errors
from basewarden.connections.callers import Owner
from basewarden.connections.routes import AgentEditsDep, AgentsDep, parse_agent_id
from basewarden.errors import AppError
from basewarden.web import DatabaseDep, PagesDep, Reading, Writing, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/agents/{agent_id}", include_in_schema=False)


@router.get("/edit")
async def get_edit(
    *,
    request: Request,
    agent_id: str,
    member: Owner,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    form: AgentFormPageDep,
) -> Response:
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id))
    context = await form.describe(fill_in_edit(agent), agent=agent)
    return pages.render(request, "connections/agent_edit.html", **context)


@router.post("/edit/changes")
async def post_changes(
    *,
    request: Request,
    agent_id: str,
    member: Owner,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
) -> Response:
    """Renders what saving the form would change, in words, or what is wrong with it; changes nothing."""
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id))
    form = await parse_form(request, AgentEditForm, lists=LIST_FIELDS)
    changes: list[FieldChange] = []
    problems: list[str] = [] if form.data is not None else list(gather_errors(form.errors).values())
    is_widening = False
    if form.data is not None:
        try:
            edit = make_edit(agent, make_change(form.data.as_agent(), form.typed))
        except AppError as error:
            problems = list(gather_errors(form.with_app_error(error).errors).values())
        else:
            after = copy_with(agent, edit.values)
            changes = describe_agent_change(agent, after, edit.fields, member.connection.role)
            is_widening = edit.is_widening
    return pages.render(
        request, "connections/agent_changes.html", changes=changes, problems=problems, is_widening=is_widening
    )


@router.post("/edit")
async def post_edit(
    *,
    request: Request,
    agent_id: str,
    member: Owner,
    session: Writing,
    database: DatabaseDep,
    agents: AgentsDep,
    edits: AgentEditsDep,
    form_page: AgentFormPageDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
) -> Response:
    """Asks who it is only where the agent may do more afterwards."""
    async with database.read_only() as reading:  # not for the whole request: what follows waits for others
        agent = await agents.get(reading, member.connection.id, parse_agent_id(agent_id))
    form = await parse_form(request, AgentEditForm, lists=LIST_FIELDS)
    if form.data is None:
        return await form_page.show_again(form, agent=agent)
    try:
        edit = await edits.plan(member.connection.id, agent.id, make_change(form.data.as_agent(), form.typed))
        if edit.is_widening:
            await confirmation.confirm(form.typed)
        await edits.apply(session, member, edit, client_info, is_confirmed=edit.is_widening or member.person.is_fresh)
    except AppError as error:
        return await form_page.show_again(form, error, agent=agent)
    return confirmation.finish(redirect(f"/c/{member.connection.id}/agents/{agent.id}?done=edit"))
