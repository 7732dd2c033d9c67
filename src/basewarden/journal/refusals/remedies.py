"""What would let a refused request pass now, as far as a person may do it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import AgentHold, Membership, Role, list_agent_holds
from basewarden.db import ReadSession

_CHANGE_LIMITS = ("Change limits…", "/edit")
_REMEDIES = {
    "read_only": _CHANGE_LIMITS,
    "table_denied": _CHANGE_LIMITS,
    "column_denied": _CHANGE_LIMITS,
    "row_limit": _CHANGE_LIMITS,
    "budget_exceeded": _CHANGE_LIMITS,
    "egress_blocked": ("Release agent…", "/release"),
    "agent_frozen": ("Release agent…", "/release"),
    "agent_paused": ("Resume…", "/resume"),
}
_HOLDS: Mapping[str, AgentHold] = {"egress_blocked": "read", "agent_frozen": "frozen", "agent_paused": "paused"}
"""What must still be so for a release to change anything."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """`holds` says what holds each agent's requests now; a revoked agent is not there."""

    member: Membership
    holds: Mapping[UUID, frozenset[AgentHold]]

    def find(self, agent_id: UUID, code: str) -> tuple[str, str]:
        """A button's words and its address: what lets such a request pass, else the agent's own page."""
        connection, role = self.member.connection, self.member.role
        if code == "connection_frozen" and connection.agents_frozen_at and role.includes(Role.EDITOR):
            return "Release agents…", f"/c/{connection.id}/freeze"
        words, page = find_remedy(code, role, self.holds.get(agent_id))
        return words, f"/c/{connection.id}/agents/{agent_id}{page}"


async def read_remedies(db: ReadSession, member: Membership, agents: Iterable[UUID]) -> Remedies:
    return Remedies(member, await list_agent_holds(db, member.connection.id, set(agents)))


def find_remedy(code: str, role: Role, holds: Collection[AgentHold] | None) -> tuple[str, str]:
    """The words of a button and a page below the agent's, as far as the role may do it and it would still help.

    `holds` is None for an agent that is revoked. The agent's own page is "".
    """
    words, page = _REMEDIES.get(code, ("", ""))
    hold = _HOLDS.get(code)
    needed = Role.OWNER if page == "/edit" else Role.EDITOR
    helps = holds is not None and (hold is None or hold in holds)
    return (words, page) if page and helps and role.includes(needed) else ("Open agent", "")
