"""The rooms of a connection: the pages that every connection has, as the sidebar and the palette list them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """`path` is below the connection's own. The palette shows `title` and also finds the room by `keywords`."""

    name: str
    title: str
    path: str
    icon: str
    keywords: str
    shortcut: str | None = None
    """The key that opens the room after `g`."""
    is_for_owners: bool = False
    is_for_editors: bool = False


ROOMS = (
    Room("Home", "Home", "", "home", "overview activity", "h"),
    Room("Data", "Data", "/data", "table", "tables rows browse", "d"),
    Room("Sessions", "Sessions", "/sessions", "list", "history writes undo journal", "s"),
    Room("Proposals", "Proposals", "/proposals", "inbox", "approve decline approval review pending", "p"),
    Room("Blocked", "Blocked requests", "/refusals", "block", "refused denied policy limits", "b"),
    Room(
        "Sentry",
        "Sentry",
        "/sentry",
        "shield",
        "security scan findings strangers rls policies leak exposed keys secrets",
        "e",
    ),
    Room("Schema", "Schema history", "/schema", "branch", "versions migrations ddl tables columns structure drift"),
    Room("Agents", "Agents", "/agents", "key", "tokens robots", "a"),
    Room("Alerts", "Alerts", "/alerts", "bell", "webhook slack discord email notifications", "l", is_for_editors=True),
    Room("Members", "Members", "/members", "person", "people team roles invite invitation access owner", "m"),
    Room("Settings", "Settings", "/settings", "gear", "name environment delete connection", ",", is_for_owners=True),
)
