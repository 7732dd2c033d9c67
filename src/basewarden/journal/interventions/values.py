"""Who stops or releases something, and what that was in words."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends

from basewarden.accounts import ClientInfoDep
from basewarden.audit import ClientInfo
from basewarden.connections import Editor, Membership
from basewarden.journal.models import JournalIntervention

_VERBS: Final = {
    "pause": "paused",
    "resume": "resumed",
    "freeze": "froze",
    "release": "released",
    "approve": "approved",
    "decline": "declined",
}
_DECISIONS: Final = ("approve", "decline")
BY_LIMIT: Final = "Its limit of writes"
NO_REASON: Final = "no reason is recorded"


@dataclass(frozen=True, slots=True)
class Intervener:
    """A member who stops or releases something of their connection, and the client that they use."""

    member: Membership
    client_info: ClientInfo

    @property
    def name(self) -> str:
        return self.member.person.name or self.member.person.email


async def _make_intervener(member: Editor, client_info: ClientInfoDep) -> Intervener:
    return Intervener(member, client_info)


IntervenerDep = Annotated[Intervener, Depends(_make_intervener)]


def name_intervener(intervention: JournalIntervention) -> str:
    """Returns the person's name, or what froze a session by itself."""
    return intervention.user_name or BY_LIMIT


def describe_intervention(intervention: JournalIntervention) -> str:
    """Returns "froze price-bot", which goes on after a name."""
    return f"{_VERBS[intervention.action]} {_name_target(intervention)}"


def describe_reason(intervention: JournalIntervention) -> str | None:
    """Returns why; a release without a reason, which only the API allows, has that said."""
    return intervention.reason or (NO_REASON if intervention.action == "release" else None)


def _name_target(intervention: JournalIntervention) -> str:
    if intervention.action in _DECISIONS:
        return f"a write of {intervention.agent_name}"
    if intervention.session_id is not None:
        return f"a session of {intervention.agent_name}" if intervention.agent_name else "a session"
    return intervention.agent_name or "all agents"
