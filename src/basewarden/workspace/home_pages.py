"""`/c/<id>`: what is going on on a connection, its first steps, and its health."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.approvals import read_waiting
from basewarden.connections import (
    Agent,
    AgentActivity,
    AgentActivityDep,
    AgentCounts,
    AgentState,
    ConnectionsDep,
    Membership,
    Role,
    Viewer,
    check_health,
    count_agents,
    dismiss_first_steps,
    find_shown_state,
    list_agents,
    make_snippets,
    read_last_health,
)
from basewarden.db import ReadSession
from basewarden.journal import ReconcilerDep, count_activity
from basewarden.sentry import read_urgent_findings
from basewarden.settings import Settings
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, redirect
from basewarden.workspace.activity import ROWS_SHOWN, describe_now, group_by_age, list_activity, list_attention
from basewarden.workspace.first_steps import find_first_steps
from basewarden.workspace.frozen_agents import list_frozen_agents

_AGENTS_READ = 50
_AGENTS_SHOWN = 5
_LATELY = timedelta(days=1)

router = APIRouter(prefix="/c/{connection_id}", include_in_schema=False)

_DONE = {"created": "Connected. Create an agent next.", "joined": "Invitation accepted. You are a member now."}


@router.get("")
async def get_home(
    *,
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    connections: ConnectionsDep,
    reconciler: ReconcilerDep,
    settings: SettingsDep,
    activity: AgentActivityDep,
) -> Response:
    """`?check` tests the connection first, which the page itself requests with JavaScript."""
    is_checked = "check" in request.query_params
    health = await check_health(member, connections) if is_checked else read_last_health(member.connection)
    await reconciler.try_reconcile(member.connection.id)
    return pages.render(
        request,
        "workspace/home.html",
        member=member,
        health=health,
        is_checked=is_checked,
        done=_DONE.get(request.query_params.get("done", "")),
        **await _read_activity(db, member, settings, activity),
    )


@router.get("/activity")
async def get_activity(
    *,
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    reconciler: ReconcilerDep,
    settings: SettingsDep,
    activity: AgentActivityDep,
    seen: str = "",
) -> Response:
    """Renders the part of the home that changes while agents work; 204 while it still shows `seen`."""
    await reconciler.try_reconcile(member.connection.id)
    context = await _read_activity(db, member, settings, activity)
    if seen == context["version"]:
        return Response(status_code=204)
    return pages.render(request, "workspace/activity.html", member=member, **context)


@router.post("/first-steps/dismiss")
async def post_dismiss(member: Viewer, db: Writing) -> Response:
    await dismiss_first_steps(db, member.connection.id, member.person.id)
    return redirect(f"/c/{member.connection.id}")


async def _read_activity(
    db: ReadSession, member: Membership, settings: Settings, activity: AgentActivity
) -> dict[str, Any]:
    rows = await list_activity(db, member)
    steps = await find_first_steps(db, member)
    newest_agents = await list_agents(db, member.connection.id, before=None, limit=_AGENTS_READ)
    frozen = await list_frozen_agents(db, member, newest_agents)
    waiting = await read_waiting(db, member.connection.id)
    findings = await read_urgent_findings(db, member.connection.id)
    newest = f"{rows[0].at.timestamp():.3f}-{rows[0].status}-{rows[0].note}" if rows else ""
    now_text = describe_now(rows)
    return {
        "rows": rows,
        "attention_rows": list_attention(rows),
        "groups": group_by_age(rows[:ROWS_SHOWN]),
        "now_text": now_text,
        "waiting": waiting,
        "urgent_findings": findings,
        "frozen_agents": frozen,
        "totals": await count_activity(db, member.connection.id),
        "agents": await count_agents(db, member.connection.id),
        "listed_agents": await _count_agents(db, member, newest_agents, activity),
        "can_freeze": member.role.includes(Role.EDITOR),
        "steps": steps,
        "version": "-".join(
            [
                steps.state if steps else "",
                newest,
                now_text,
                *(str(one.agent.id) for one in frozen),
                waiting.version,
                findings.version,
            ]
        ),
        "snippets": await _make_snippets(db, member, settings),
        "can_manage": member.role.includes(Role.OWNER),
    }


async def _count_agents(
    db: ReadSession, member: Membership, newest: Sequence[Agent], activity: AgentActivity
) -> list[tuple[Agent, AgentState, AgentCounts]]:
    """Lists the agents that were used last, of the newest ones, with their counts of the last day."""
    agents = sorted(newest, key=lambda agent: agent.last_used_at or agent.created_at, reverse=True)[:_AGENTS_SHOWN]
    counts = await activity.count(db, member.connection.id, [agent.id for agent in agents], datetime.now(UTC) - _LATELY)
    return [(agent, find_shown_state(agent, member.connection), counts[agent.id]) for agent in agents]


async def _make_snippets(db: ReadSession, member: Membership, settings: Settings) -> list[tuple[str, str, str]]:
    """Makes the snippets for the newest agent, whose token cannot be shown again; none without an agent."""
    agents = await list_agents(db, member.connection.id, before=None, limit=1)
    if not agents:
        return []
    snippets = make_snippets(settings.origin, member.connection.id, agents[0], None)
    return [(snippet.key, snippet.label, snippet.code) for snippet in snippets]
