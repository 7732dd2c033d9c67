"""The palette's commands. Each is a link or a form that the pages have too, and its route checks the role again."""

from collections.abc import Sequence
from uuid import UUID

from basewarden.approvals import NOTHING_WAITS, WaitingProposals
from basewarden.connections import Agent, AgentState, Role
from basewarden.journal import SessionSummary
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem

_MAX_FREEZES = 3
_REVIEW_WORDS = "proposal approve decline approval pending"
_SCAN_WORDS = "security findings check strangers rls"
_FREEZE_WORDS = "pause stop hold agent kill switch"
_GENERAL = (
    PaletteItem("New connection", "/connections/new", "plus", None, "add create connect project database"),
    PaletteItem("Change theme", "/settings/account", "moon", "light or dark", "appearance color mode", script="theme"),
    PaletteItem("Keyboard shortcuts", "/shortcuts", "info", "?", "keys help", script="shortcuts"),
)


class ExtraCommands:
    """Commands that additions to the product bring, each for one person only."""

    def __init__(self) -> None:
        self._items: list[tuple[str, PaletteItem]] = []

    def add(self, email: str, item: PaletteItem) -> None:
        self._items.append((email, item))

    def list_for(self, email: str) -> list[PaletteItem]:
        return [item for owner, item in self._items if owner == email]


def list_commands(
    connection_id: UUID | None,
    role: Role | None,
    sessions: Sequence[SessionSummary],
    agents: Sequence[Agent] = (),
    waiting: WaitingProposals = NOTHING_WAITS,
    extra: Sequence[PaletteItem] = (),
) -> PaletteGroup:
    """Lists what the role may do: an editor decides, undoes, stops and creates alerts, an owner manages agents."""
    items: list[PaletteItem] = []
    if connection_id is not None and role is not None:
        home = f"/c/{connection_id}"
        if role.includes(Role.EDITOR):
            items += [*_list_reviews(home, waiting), *_list_undos(home, sessions), *_list_stops(home, sessions, agents)]
            items.append(
                PaletteItem("Scan with the sentry", f"{home}/sentry/scans", "shield", None, _SCAN_WORDS, "post")
            )
            items.append(PaletteItem("New alert", f"{home}/alerts/new", "bell", None, "add create notify webhook"))
        if role.includes(Role.OWNER):
            items.append(PaletteItem("New agent", f"{home}/agents/new", "key", None, "add create token robot"))
        if role.includes(Role.EDITOR):
            items.append(PaletteItem("Freeze or release all agents…", f"{home}/freeze", "lock", None, _FREEZE_WORDS))
        if role.includes(Role.OWNER):
            items += [
                PaletteItem(
                    f"Edit {one.name}…", f"{home}/agents/{one.id}/edit", "edit", "agent", "change rename limits"
                )
                for one in agents
            ]
            items += [
                PaletteItem(
                    f"Revoke {one.name}…", f"{home}/agents/{one.id}/revoke", "block", "agent", "stop end delete"
                )
                for one in agents
            ]
    return PaletteGroup("Commands", [*items, *extra, *_GENERAL], are_commands=True)


def _list_reviews(home: str, waiting: WaitingProposals) -> list[PaletteItem]:
    """Each leads to the page with the rows, on which it is decided."""
    return [
        PaletteItem(f"Review: {one.title}", f"{home}/proposals/{one.id}", "inbox", one.agent_name, _REVIEW_WORDS)
        for one in waiting.lines
    ]


def _list_undos(home: str, sessions: Sequence[SessionSummary]) -> list[PaletteItem]:
    """The undo of the last session leads to its preview."""
    for found in sessions:
        if found.session.kind != "undo" and found.status not in ("undone", "expired") and found.mutation_count:
            href = f"{home}/sessions/{found.session.id}/undo"
            return [PaletteItem("Undo the last session", href, "undo", describe_session(found), "revert restore back")]
    return []


def _list_stops(home: str, sessions: Sequence[SessionSummary], agents: Sequence[Agent]) -> list[PaletteItem]:
    """Lists each agent that writes now, then those that were searched for. Pausing and freezing take one press."""
    active = {found.session.agent_id: found for found in reversed(sessions) if found.status == "active"}
    writing = [(agent_id, found) for agent_id, found in reversed(active.items()) if agent_id is not None][:_MAX_FREEZES]
    items = [
        _make_stop("Freeze", found.session.caller_name, f"{home}/agents/{agent_id}/freeze", found.title)
        for agent_id, found in writing
    ]
    listed = {agent_id for agent_id, _ in writing}
    for one in agents:
        path = f"{home}/agents/{one.id}"
        if one.state in (AgentState.PAUSED, AgentState.FROZEN):
            action = "release" if one.state is AgentState.FROZEN else "resume"
            label = f"{action.capitalize()} {one.name}…"
            items.append(PaletteItem(label, f"{path}/{action}", "check", one.state.value, "agent continue start"))
        elif one.state is not AgentState.EXPIRED:
            items.append(_make_stop("Pause", one.name, f"{path}/pause", "agent"))
            if one.id not in listed:
                items.append(_make_stop("Freeze", one.name, f"{path}/freeze", "agent"))
    return items


def _make_stop(verb: str, name: str, href: str, hint: str) -> PaletteItem:
    icon = "pause" if verb == "Pause" else "lock"
    return PaletteItem(f"{verb} {name}", href, icon, hint, _FREEZE_WORDS, "post", stops_work=True)


def describe_session(found: SessionSummary) -> str:
    return f"{found.session.caller_name}: {found.title}"
