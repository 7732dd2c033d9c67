"""The agents of a connection that are frozen by themselves: since when, by whom and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from basewarden.connections import Agent, AgentState, Membership
from basewarden.db import ReadSession
from basewarden.journal import JournalIntervention, list_interventions, name_intervener

_INTERVENTIONS_READ = 100


@dataclass(frozen=True, slots=True)
class FrozenAgent:
    """`who` is empty where the freeze is not among the last interventions; `is_you`: the reader."""

    agent: Agent
    at: datetime
    who: str = ""
    reason: str | None = None
    is_you: bool = False


async def list_frozen_agents(db: ReadSession, member: Membership, agents: Sequence[Agent]) -> list[FrozenAgent]:
    """Lists those of these agents that are frozen, the last one first."""
    frozen = {one.id: one.frozen_at for one in agents if one.state is AgentState.FROZEN and one.frozen_at is not None}
    if not frozen:
        return []
    since = min(frozen.values())
    done = await list_interventions(db, member.connection.id, since=since, limit=_INTERVENTIONS_READ)
    freezes = {one.agent_id: one for one in reversed(done) if one.action == "freeze" and one.session_id is None}
    found = [_describe(one, frozen[one.id], freezes.get(one.id), member) for one in agents if one.id in frozen]
    return sorted(found, key=lambda one: one.at, reverse=True)


def _describe(agent: Agent, at: datetime, freeze: JournalIntervention | None, member: Membership) -> FrozenAgent:
    if freeze is None:
        return FrozenAgent(agent, at)
    return FrozenAgent(agent, at, name_intervener(freeze), freeze.reason, freeze.user_id == member.person.id)
