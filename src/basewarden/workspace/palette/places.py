"""The pages that a person may open: of a connection, of their account, of the docs."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from basewarden.connections import Role
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem

_ROOMS = (
    ("Home", "", "home", "overview activity", Role.VIEWER),
    ("Data", "/data", "table", "tables rows browse", Role.VIEWER),
    ("Sessions", "/sessions", "list", "history writes undo journal", Role.VIEWER),
    ("Blocked requests", "/refusals", "block", "refused denied policy limits", Role.VIEWER),
    ("Agents", "/agents", "key", "tokens robots", Role.VIEWER),
    ("Settings", "/settings", "gear", "name environment delete connection", Role.OWNER),
)
_ACCOUNT = (
    ("Your account", "/settings/account", "name email password"),
    ("Two-factor authentication", "/settings/account/2fa", "2fa totp recovery codes"),
    ("Passkeys", "/settings/account/passkeys", "webauthn security key"),
    ("Active sessions", "/settings/account/sessions", "devices sign out everywhere"),
    ("Account activity", "/settings/account/activity", "audit log security events"),
    ("Your data", "/settings/account/data", "export download delete account gdpr"),
    ("Billing", "/settings/billing", "plan payment invoice"),
)
_HELP = (
    ("Guide", "/docs/guide", "start first undo help"),
    ("Docs", "/docs", "documentation manual help"),
    ("HTTP API", "/docs/api", "reference endpoints rest openapi"),
    ("Status", "/status", "health uptime"),
    ("Contact", "/contact", "support operator help message"),
)


def list_rooms(connection_id: UUID, role: Role) -> PaletteGroup:
    rooms = [room for room in _ROOMS if role.includes(room[4])]
    items = [PaletteItem(name, f"/c/{connection_id}{path}", icon, None, words) for name, path, icon, words, _ in rooms]
    return PaletteGroup("Pages", items)


def list_connections(connections: Iterable[Any], current: UUID | None) -> PaletteGroup:
    others = [one for one in connections if one.id != current]
    found = [PaletteItem(one.name, f"/c/{one.id}", "table", one.environment, "connection") for one in others]
    return PaletteGroup("Connections", [*found, PaletteItem("All connections", "/connections", "list")])


def list_general() -> list[PaletteGroup]:
    account = [PaletteItem(name, path, "person", None, f"account settings {words}") for name, path, words in _ACCOUNT]
    pages = [PaletteItem(name, path, "info", None, words) for name, path, words in _HELP]
    return [PaletteGroup("Account", account), PaletteGroup("Help", pages)]
