"""What keeps the demo's agent from writing, so that the button can say it before a run comes to nothing."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import Agent, AgentHold, list_agent_holds, list_agents, list_connections_by_id
from basewarden.db import ReadSession
from basewarden.demo.data import AGENT_NAME, DemoData

_AGENTS_READ = 100
_WORDS: dict[AgentHold, tuple[str, str, str]] = {
    "frozen": ("is frozen", "Its requests are refused until you release it.", "Release…"),
    "paused": ("is paused", "Its requests are refused until you resume it.", "Resume…"),
    "read": (
        "is held by the guard",
        "It has read personal data, so its writes to tables that others can read are refused until you release it.",
        "Release…",
    ),
}


@dataclass(frozen=True, slots=True)
class HeldAgent:
    """Why the agent would change nothing, and the button that lets it work again."""

    title: str
    reason: str
    button: str
    href: str


async def find_hold(db: ReadSession, person_id: UUID, data: DemoData) -> HeldAgent | None:
    """None where the agent can write, and where it is gone."""
    home = f"/c/{data.connection_id}"
    found = await list_connections_by_id(db, person_id, [UUID(data.connection_id)])
    if not found:
        return None
    connection = found[UUID(data.connection_id)][0]
    if connection.agents_frozen_at is not None:
        reason = "Every request of an agent is refused until you release them."
        return HeldAgent("All agents are frozen", reason, "Release agents…", f"{home}/freeze")
    agents = await list_agents(db, connection.id, before=None, limit=_AGENTS_READ)
    agent = next((one for one in agents if _is_ours(one, data)), None)
    if agent is None:
        return None
    holds = (await list_agent_holds(db, connection.id, [agent.id])).get(agent.id, frozenset())
    counted = holds if connection.guard == "block" else holds - {"read"}
    hold = next((one for one in _WORDS if one in counted), None)
    if hold is None:
        return None
    state, reason, button = _WORDS[hold]
    page = "resume" if hold == "paused" else "release"
    return HeldAgent(f"{agent.name} {state}", reason, button, f"{home}/agents/{agent.id}/{page}")


def _is_ours(agent: Agent, data: DemoData) -> bool:
    """Another agent may have the same name, and a replaced token is not the demo's."""
    return agent.name == AGENT_NAME and data.agent_token.reveal().endswith(agent.token_hint)
