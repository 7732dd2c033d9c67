"""The pages that a person may open: of a connection, of their account, of the docs."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from basewarden.accounts import list_settings_pages
from basewarden.connections import Role
from basewarden.web import ROOMS, Room
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem

_HELP = (
    ("Guide", "/docs/guide", "start first undo help"),
    ("Docs", "/docs", "documentation manual help"),
    ("HTTP API", "/docs/api", "reference endpoints rest openapi"),
    ("Status", "/status", "health uptime"),
    ("Contact", "/contact", "support operator help message"),
)
_SIGN_OUT = PaletteItem("Sign out", "/signout", "arrow", None, "log out leave", "post")


def list_rooms(connection_id: UUID, role: Role) -> PaletteGroup:
    rooms = [room for room in ROOMS if role.includes(_find_minimum(room))]
    home = f"/c/{connection_id}"
    return PaletteGroup(
        "Pages", [PaletteItem(room.title, f"{home}{room.path}", room.icon, None, room.keywords) for room in rooms]
    )


def _find_minimum(room: Room) -> Role:
    if room.is_for_owners:
        return Role.OWNER
    return Role.EDITOR if room.is_for_editors else Role.VIEWER


def list_connections(connections: Iterable[Any], current: UUID | None) -> PaletteGroup:
    others = [one for one in connections if one.id != current]
    found = [PaletteItem(one.name, f"/c/{one.id}", "table", one.environment, "connection") for one in others]
    return PaletteGroup("Connections", [*found, PaletteItem("All connections", "/connections", "list")])


def list_general(*, has_github: bool, has_billing: bool) -> list[PaletteGroup]:
    account = [
        PaletteItem(page.title, page.path, page.icon, None, f"account settings {page.keywords}")
        for page in list_settings_pages(has_github=has_github, has_billing=has_billing)
    ]
    pages = [PaletteItem(name, path, "info", None, words) for name, path, words in _HELP]
    return [PaletteGroup("Account", [*account, _SIGN_OUT]), PaletteGroup("Help", pages)]


def list_own_places() -> PaletteGroup:
    """What is of a person and not of a connection, before anything is typed."""
    account = list_settings_pages(has_github=False, has_billing=False)[0]
    return PaletteGroup("Account", [PaletteItem(account.title, account.path, account.icon), _SIGN_OUT])
