"""The palette's commands. Each is a link or a form that the pages have too, and its route checks the role again."""

from collections.abc import Sequence
from uuid import UUID

from basewarden.connections import Role
from basewarden.journal import SessionSummary
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem

_MAX_FREEZES = 3
_GENERAL = (
    PaletteItem("New connection", "/connections/new", "plus", None, "add create connect project database"),
    PaletteItem("Change theme", "/settings/account", "moon", "light or dark", "appearance color mode", script="theme"),
    PaletteItem("Keyboard shortcuts", "/shortcuts", "info", "?", "keys help", script="shortcuts"),
    PaletteItem("Sign out", "/signout", "arrow", None, "log out leave", "post"),
)


def list_commands(connection_id: UUID | None, role: Role | None, sessions: Sequence[SessionSummary]) -> PaletteGroup:
    """Lists what the role may do: an editor undoes and freezes, an owner creates agents."""
    items: list[PaletteItem] = []
    if connection_id is not None and role is not None:
        home = f"/c/{connection_id}"
        if role.includes(Role.EDITOR):
            items += [*_list_undos(home, sessions), *_list_freezes(home, sessions)]
        if role.includes(Role.OWNER):
            items.append(PaletteItem("New agent", f"{home}/agents/new", "key", None, "add create token robot"))
    return PaletteGroup("Commands", [*items, *_GENERAL])


def _list_undos(home: str, sessions: Sequence[SessionSummary]) -> list[PaletteItem]:
    """The undo of the last session leads to its preview."""
    for found in sessions:
        if found.session.kind != "undo" and found.status not in ("undone", "expired") and found.mutation_count:
            href = f"{home}/sessions/{found.session.id}/undo"
            return [PaletteItem("Undo the last session", href, "undo", describe_session(found), "revert restore back")]
    return []


def _list_freezes(home: str, sessions: Sequence[SessionSummary]) -> list[PaletteItem]:
    """Lists each agent that writes now; freezing it freezes all of its active sessions."""
    active = {found.session.agent_id: found for found in reversed(sessions) if found.status == "active"}
    return [
        PaletteItem(
            f"Freeze {found.session.caller_name}",
            f"{home}/agents/{agent_id}/freeze",
            "block",
            found.title,
            "pause stop hold agent session",
            "post",
        )
        for agent_id, found in list(reversed(active.items()))[:_MAX_FREEZES]
        if agent_id is not None
    ]


def describe_session(found: SessionSummary) -> str:
    return f"{found.session.caller_name}: {found.title}"
