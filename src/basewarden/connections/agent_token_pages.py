"""The page that replaces an agent's token."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, FormConfirmation, FormConfirmationDep, ReauthRequired
from basewarden.connections.agent_form_page import AgentFormPageDep
from basewarden.connections.agent_made_page import show_token
from basewarden.connections.callers import Owner
from basewarden.connections.forms import PageForm
from basewarden.connections.models import Agent
from basewarden.connections.routes import AgentsDep, parse_agent_id
from basewarden.errors import AppError
from basewarden.web import (
    DatabaseDep,
    PagesDep,
    Reading,
    SettingsDep,
    Writing,
    parse_form,
    redirect,
    show_again,
)

router = APIRouter(prefix="/c/{connection_id}/agents/{agent_id}", include_in_schema=False)

_ROTATE = "connections/rotate.html"
AGAIN = "again"


class RotateForm(PageForm):
    """`tokenHint` is of the token that the page was about: a form that is sent twice replaces it once."""

    token_hint: Annotated[str, Field(min_length=1, max_length=20)]


@router.get("/rotate")
async def get_rotate(
    request: Request,
    agent_id: str,
    member: Owner,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    confirmation: FormConfirmationDep,
) -> Response:
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id))
    return pages.render(request, _ROTATE, errors={}, **await _describe_rotate(agent, confirmation))


@router.post("/rotate")
async def post_rotate_form(
    *,
    request: Request,
    agent_id: str,
    member: Owner,
    session: Writing,
    database: DatabaseDep,
    pages: PagesDep,
    agents: AgentsDep,
    form_page: AgentFormPageDep,
    confirmation: FormConfirmationDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Does not redirect, because only this response contains the token."""
    async with database.read_only() as reading:
        agent = await agents.get(reading, member.connection.id, parse_agent_id(agent_id))
    form = await parse_form(request, RotateForm)
    try:
        await confirmation.confirm(form.typed)
    except AppError as error:
        context = await _describe_rotate(agent, confirmation, is_stale=isinstance(error, ReauthRequired))
        return show_again(request, pages, _ROTATE, form, error, **context)
    # The project is asked before a lock is held.
    example = await form_page.tables.find_example(member.connection.id, agent.example_tables, agent.columns or {})
    hint = form.data.token_hint if form.data is not None else ""
    rotated = await agents.rotate(session, member, agent.id, client_info, known_hint=hint)
    if rotated is None:
        return confirmation.finish(redirect(f"{_path(agent)}?done={AGAIN}"))
    return confirmation.finish(show_token(request, pages, settings, *rotated, example, is_rotated=True))


async def _describe_rotate(agent: Agent, confirmation: FormConfirmation, *, is_stale: bool = False) -> dict[str, Any]:
    return {"agent": agent, "confirm_methods": await confirmation.describe(), "has_gone_stale": is_stale}


def _path(agent: Agent) -> str:
    return f"/c/{agent.connection_id}/agents/{agent.id}"
