"""The pages of agents: the list, the form of a new one, and a page for each; every form works without JavaScript."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, FormConfirmationDep
from basewarden.connections.agent_activity import AgentActivity, AgentCounts, AgentHistory
from basewarden.connections.agent_form_page import AgentFormPageDep, ProjectTablesDep
from basewarden.connections.agent_forms import (
    LIST_FIELDS,
    TEMPLATES,
    AgentForm,
    fill_in,
    find_template,
    gather_errors,
    list_column_choices,
)
from basewarden.connections.agent_made_page import list_snippets, show_token
from basewarden.connections.agent_states import FROZEN_TOGETHER, find_shown_state
from basewarden.connections.agent_words import PolicyFact, describe_access, describe_policy, group_policy, shorten_table
from basewarden.connections.agents import AgentExists, count_agents_by_state, list_agents
from basewarden.connections.callers import Membership, Owner, Viewer
from basewarden.connections.guard.queries import list_reads
from basewarden.connections.models import Access, Agent, AgentState, Connection, Role
from basewarden.connections.routes import AgentsDep, parse_agent_id
from basewarden.connections.stop_words import list_agent_dialogs, make_connection_dialog, make_reads_dialog
from basewarden.core.addresses import table_path
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.web import (
    DatabaseDep,
    PagesDep,
    Reading,
    SettingsDep,
    ShellDep,
    Writing,
    inject,
    parse_form,
    redirect,
)

router = APIRouter(prefix="/c/{connection_id}/agents", include_in_schema=False)

AgentActivityDep = Annotated[AgentActivity, Depends(inject(AgentActivity))]

_PAGE_ROWS = 50
_LATELY = timedelta(days=1)
_WAIT_FOR_USE = timedelta(minutes=10)
_STATE_WORDS = {
    AgentState.ACTIVE: "Active",
    AgentState.NEVER_USED: "Never used",
    AgentState.PAUSED: "Paused",
    AgentState.FROZEN: "Frozen",
    AgentState.EXPIRED: "Expired",
    AgentState.REVOKED: "Revoked",
}
_DONE = {
    "revoked": "Agent revoked. Its token no longer works.",
    "all-release": "The agents are released.",
}
_AGENT_DONE = {
    "edit": "Saved. The changes apply from the agent's next request on.",
    "resume": "Agent resumed.",
    "release": "Agent released.",
}
_AGAIN = "again"


@router.get("")
async def get_agents(
    *,
    request: Request,
    member: Viewer,
    session: Reading,
    pages: PagesDep,
    activity: AgentActivityDep,
    state: Annotated[str | None, Query(max_length=20)] = None,
    before: UUID | None = None,
) -> Response:
    """Lists the agents in a state; without one, all that are not revoked."""
    chosen = _parse_state(state)
    connection_id, here = member.connection.id, _path(member)
    are_all_frozen = member.connection.agents_frozen_at is not None
    states = FROZEN_TOGETHER if are_all_frozen and chosen is AgentState.FROZEN else [chosen] if chosen else ()
    found = await list_agents(session, connection_id, before=before, limit=_PAGE_ROWS + 1, states=states)
    agents = found[:_PAGE_ROWS]
    since, ids = datetime.now(UTC) - _LATELY, [agent.id for agent in agents]
    recent = await activity.count(session, connection_id, ids, since)
    more = {"state": state, "before": agents[-1].id} if len(found) > _PAGE_ROWS else {}
    return pages.render(
        request,
        "connections/agents.html",
        here=here,
        agents=[(agent, describe_access(agent), find_shown_state(agent, member.connection)) for agent in agents],
        recent=recent,
        used={agent.id: _find_last_use(agent, recent[agent.id]) for agent in agents},
        rows_by_hour=await activity.list_rows(session, connection_id, ids),
        tabs=_make_tabs(here, _count_shown(await count_agents_by_state(session, connection_id), member.connection)),
        current=chosen.value if chosen else "all",
        next_href=f"{here}?{urlencode({key: value for key, value in more.items() if value})}" if more else None,
        is_first=before is None,
        can_manage=member.role.includes(Role.OWNER),
        can_freeze=member.role.includes(Role.EDITOR),
        all_dialog=make_connection_dialog(member.connection),
        templates=TEMPLATES,
        done=_DONE.get(request.query_params.get("done", "")),
    )


@router.get("/new")
async def get_new_agent(
    *,
    request: Request,
    member: Owner,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    form: AgentFormPageDep,
    template: Annotated[str | None, Query(max_length=20)] = None,
    like: Annotated[str | None, Query(max_length=50)] = None,
) -> Response:
    """`template` or `like`, another agent's id, fills the form; `part` asks for the form without its page."""
    copied = await agents.get(session, member.connection.id, parse_agent_id(like), revoked=True) if like else None
    is_part = "part" in request.query_params
    return pages.render(
        request,
        "connections/agent_form.html" if is_part else "connections/agent_new.html",
        **await form.describe(fill_in(find_template(template), copied), template=template),
    )


@router.get("/columns")
async def get_columns(
    request: Request,
    member: Owner,
    pages: PagesDep,
    tables: ProjectTablesDep,
    columns_of: Annotated[str, Query(alias="columnsOf", max_length=200)],
) -> Response:
    """Renders the columns of a table with a choice each; nothing for a table that there is not."""
    found = await tables.list_columns(member.connection.id, columns_of)
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    choices = list_column_choices(columns_of, found)
    return pages.render(request, "connections/agent_columns.html", table=shorten_table(columns_of), choices=choices)


@router.post("")
async def post_agent(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    database: DatabaseDep,
    pages: PagesDep,
    agents: AgentsDep,
    form_page: AgentFormPageDep,
    confirmation: FormConfirmationDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
    shell: ShellDep,
) -> Response:
    """Creates an agent. Does not redirect, because only this response contains the token.

    A form that is sent again, as by a reload, leads to the agent that it has created.
    """
    form = await parse_form(request, AgentForm, lists=LIST_FIELDS)
    agent_id = form_page.read_key(form.typed)
    if agent_id is not None:
        async with database.read_only() as reading:  # not for the whole request: what follows waits for others
            known = await agents.find(reading, member.connection.id, agent_id)
        if known is not None:
            return _redirect_again(member, agent_id)
    if form.data is None:
        return await form_page.show_again(form)
    try:
        wanted = form.data.as_agent()
        await confirmation.confirm(form.typed)
        agent, token = await agents.create(session, member, wanted, client_info, agent_id=agent_id)
    except AppError as error:
        return await form_page.show_again(form, error)
    except AgentExists:
        assert agent_id is not None
        return confirmation.finish(_redirect_again(member, agent_id))
    example = await form_page.tables.find_example(member.connection.id, agent.example_tables, agent.columns or {})
    await shell.count_again(request, ReadSession(session), member.connection.id)
    page = show_token(request, pages, settings, agent, token, example)
    return confirmation.finish(page)


@router.post("/summary")
async def post_summary(request: Request, member: Owner, pages: PagesDep) -> Response:
    """Renders what the form means in words, or what is missing; creates nothing."""
    form = await parse_form(request, AgentForm, lists=LIST_FIELDS)
    name, facts = "", [] if form.data is not None else [PolicyFact("alert", "Some fields are not valid yet.")]
    if form.data is not None:
        try:
            policy = form.data.as_agent()
            name, facts = policy.name, describe_policy(policy, member.connection.role)
        except AppError as error:
            errors = gather_errors(form.with_app_error(error).errors)
            facts = [PolicyFact("alert", message) for message in errors.values()]
    return pages.render(request, "connections/agent_summary.html", name=name, facts=facts)


@router.get("/{agent_id}")
async def get_agent(
    *,
    request: Request,
    agent_id: str,
    member: Viewer,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    activity: AgentActivityDep,
    tables: ProjectTablesDep,
    settings: SettingsDep,
) -> Response:
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id), revoked=True)
    history = await activity.read(session, member.connection.id, agent.id)
    counts = await activity.count(session, member.connection.id, [agent.id], datetime.now(UTC) - _LATELY)
    reads = await list_reads(session, agent.id)
    is_kept = agent.state is not AgentState.REVOKED
    state = find_shown_state(agent, member.connection)
    is_frozen_with_all = state is not agent.state
    example = (
        await tables.find_example(member.connection.id, agent.example_tables, agent.columns or {}) if is_kept else None
    )
    return pages.render(
        request,
        "connections/agent.html",
        agent=agent,
        state=state,
        used_at=_find_last_use(agent, counts[agent.id]),
        list_href=_path(member),
        here=f"{_path(member)}/{agent.id}",
        agent_href=f"{_path(member)}/{agent.id}",
        policy=group_policy(describe_policy(agent, member.connection.role)),
        last_write_at=counts[agent.id].last_write_at,
        links=_list_tables(member, agent),
        figures=_list_figures(agent, history, counts[agent.id].sessions),
        running=[one for one in history.sessions if one.is_running],
        history=history,
        dialogs=[] if is_frozen_with_all else list_agent_dialogs(agent, has_read=bool(reads)),
        is_frozen_with_all=is_frozen_with_all,
        reads=reads,
        reads_dialog=make_reads_dialog(agent) if reads and state is not AgentState.FROZEN else None,
        viewer_id=member.person.id,
        snippets=list_snippets(settings, agent, example),
        is_kept=is_kept,
        can_manage=is_kept and member.role.includes(Role.OWNER),
        can_copy=member.role.includes(Role.OWNER),
        can_freeze=member.role.includes(Role.EDITOR),
        done=_AGENT_DONE.get(request.query_params.get("done", "")),
        was_sent_again=request.query_params.get("done") == _AGAIN,
        since=int(datetime.now(UTC).timestamp()),
    )


@router.get("/{agent_id}/first-request")
async def get_first_request(
    *,
    request: Request,
    agent_id: str,
    member: Viewer,
    session: Reading,
    pages: PagesDep,
    agents: AgentsDep,
    since: Annotated[int, Query(ge=0, le=2**40)] = 0,
) -> Response:
    """Renders that the agent was used. 204 while it was not; some time after `since` the page is to ask no more."""
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id))
    is_waiting = datetime.now(UTC).timestamp() < since + _WAIT_FOR_USE.total_seconds()
    if agent.last_used_at is None and is_waiting:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    here = f"{_path(member)}/{agent.id}"
    return pages.render(request, "connections/first_request.html", agent=agent, agent_href=here, since=None)


@router.get("/{agent_id}/revoke")
async def get_revoke(
    *, request: Request, agent_id: str, member: Owner, session: Reading, pages: PagesDep, agents: AgentsDep
) -> Response:
    agent = await agents.get(session, member.connection.id, parse_agent_id(agent_id))
    return pages.render(request, "connections/revoke.html", agent=agent)


@router.post("/{agent_id}/revoke")
async def post_revoke(
    agent_id: str, member: Owner, session: Writing, agents: AgentsDep, client_info: ClientInfoDep
) -> Response:
    await agents.revoke(session, member, parse_agent_id(agent_id), client_info)
    return redirect(f"{_path(member)}?done=revoked")


def _count_shown(counts: Mapping[AgentState, int], connection: Connection) -> Mapping[AgentState, int]:
    if connection.agents_frozen_at is None:
        return counts
    frozen = sum(counts[state] for state in FROZEN_TOGETHER)
    return {**counts, **dict.fromkeys(FROZEN_TOGETHER, 0), AgentState.FROZEN: frozen}


def _find_last_use(agent: Agent, counts: AgentCounts) -> datetime | None:
    """A write of it that a person approved is carried out without its token, and counts as its use too."""
    return max((at for at in (agent.last_used_at, counts.last_write_at) if at is not None), default=None)


def _make_tabs(here: str, counts: Mapping[AgentState, int]) -> list[tuple[str, str, str, int]]:
    kept = sum(count for state, count in counts.items() if state is not AgentState.REVOKED)
    states = [(state.value, word, f"{here}?state={state}", counts[state]) for state, word in _STATE_WORDS.items()]
    return [("all", "All", here, kept), *states]


def _list_tables(member: Membership, agent: Agent) -> list[tuple[str, str]]:
    """Lists name and page of each table that an agent's list names; no functions."""
    names = agent.table_access or {}
    return [(shorten_table(name), table_path(member.connection.id, *name.split(".", 1))) for name in names]


def _list_figures(agent: Agent, history: AgentHistory, sessions: int) -> list[tuple[str, int, str]]:
    """Lists label, number and tone of each figure of the last 24 hours."""
    blocked = sum(history.blocked_by_hour)
    figures = [("Blocked", blocked, "danger" if blocked else "info")]
    if agent.access != Access.READ:
        figures.insert(0, ("Rows written", sum(history.rows_by_hour), "info"))
        figures.append(("Sessions", sessions, "info"))
    return figures


def _redirect_again(member: Membership, agent_id: UUID) -> Response:
    return redirect(f"{_path(member)}/{agent_id}?done={_AGAIN}")


def _parse_state(state: str | None) -> AgentState | None:
    """An unknown state shows all."""
    return AgentState(state) if state in list(AgentState) else None


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/agents"
