"""Describes events in words, for a person's page."""

from collections.abc import Mapping
from typing import Any, Protocol

from basewarden.audit.events import EventKind


class DetailText(Protocol):
    """The parts of an event that its description needs."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


_SENTENCES = {
    EventKind.SIGNUP: "Signed up",
    EventKind.SIGNIN: "Signed in",
    EventKind.SIGNIN_FAILED: "Failed to sign in",
    EventKind.SIGNOUT: "Signed out",
    EventKind.SESSION_ENDED: "Signed out another session",
    EventKind.SESSIONS_ENDED: "Signed out everywhere else",
    EventKind.PASSWORD_CHANGED: "Changed the password",
    EventKind.PASSWORD_CHANGE_FAILED: "Entered a wrong password when changing it",
    EventKind.PASSWORD_SET: "Set a password",
    EventKind.PASSWORD_RESET: "Reset the password with a link from an email",
    EventKind.PASSWORD_RESET_ASKED: "Requested a password reset link",
    EventKind.EMAIL_VERIFIED: "Confirmed the email address",
    EventKind.EMAIL_CHANGE_ASKED: "Requested an email address change",
    EventKind.EMAIL_CHANGED: "Changed the email address",
    EventKind.PROFILE_CHANGED: "Changed the profile",
    EventKind.TWOFACTOR_ON: "Turned on two-factor authentication",
    EventKind.TWOFACTOR_OFF: "Turned off two-factor authentication",
    EventKind.TWOFACTOR_OFF_FAILED: "Entered a wrong password when turning off two-factor authentication",
    EventKind.TWOFACTOR_FAILED: "Failed two-factor authentication",
    EventKind.TWOFACTOR_PASSED: "Passed two-factor authentication",
    EventKind.RECOVERY_CODE_USED: "Used a recovery code",
    EventKind.RECOVERY_CODES_MADE: "Generated new recovery codes",
    EventKind.PASSKEY_ADDED: "Added a passkey",
    EventKind.PASSKEY_REMOVED: "Removed a passkey",
    EventKind.PASSKEY_RENAMED: "Renamed a passkey",
    EventKind.PASSKEY_USED: "Used a passkey",
    EventKind.PASSKEY_COPIED: "A passkey was rejected, because it may have been copied",
    EventKind.GITHUB_LINKED: "Linked a GitHub account",
    EventKind.GITHUB_UNLINKED: "Unlinked a GitHub account",
    EventKind.REAUTHENTICATED: "Confirmed their identity",
    EventKind.DATA_EXPORTED: "Exported the account's data",
    EventKind.DELETION_SCHEDULED: "Requested account deletion",
    EventKind.DELETION_FAILED: "Entered a wrong password when deleting the account",
    EventKind.DELETION_CANCELLED: "Cancelled account deletion",
    EventKind.ACCOUNT_DELETED: "The account was deleted",
    EventKind.AGENT_TOKEN_MADE: "Created an agent token",
    EventKind.AGENT_TOKEN_REVOKED: "Revoked an agent token",
    EventKind.AGENT_CHANGED: "Changed an agent",
    EventKind.AGENT_PAUSED: "Paused an agent",
    EventKind.AGENT_RESUMED: "Resumed an agent",
    EventKind.AGENT_FROZEN: "Froze an agent",
    EventKind.AGENT_RELEASED: "Released an agent",
    EventKind.ALL_AGENTS_FROZEN: "Froze all agents of a connection",
    EventKind.ALL_AGENTS_RELEASED: "Released the agents of a connection",
    EventKind.SESSION_FROZEN: "Froze a session",
    EventKind.SESSION_RELEASED: "Released a session",
    EventKind.CONNECTION_CREATED: "Created a connection",
    EventKind.CONNECTION_DELETED: "Deleted a connection",
    EventKind.ALERT_CREATED: "Created an alert",
    EventKind.ALERT_DELETED: "Deleted an alert",
    EventKind.ALERT_SECRET_ROTATED: "Rotated the signing secret of an alert",
    EventKind.MEMBER_INVITED: "Invited a member",
    EventKind.INVITATION_RESENT: "Sent an invitation again",
    EventKind.INVITATION_REVOKED: "Revoked an invitation",
    EventKind.INVITATION_ACCEPTED: "Accepted an invitation",
    EventKind.MEMBER_ROLE_CHANGED: "Changed a member's role",
    EventKind.MEMBER_REMOVED: "Removed a member",
    EventKind.MEMBER_LEFT: "Left a connection",
    EventKind.OWNERSHIP_GIVEN: "Transferred the ownership of a connection",
    EventKind.OWN_ROLE_CHANGED: "An owner changed your role",
    EventKind.OWN_MEMBERSHIP_ENDED: "An owner removed you from a connection",
    EventKind.OWNERSHIP_RECEIVED: "Became the owner of a connection",
    EventKind.TWOFACTOR_DEMANDED: "Required two-factor authentication for a connection",
    EventKind.TWOFACTOR_NOT_DEMANDED: "Stopped requiring two-factor authentication for a connection",
    EventKind.OTHER_APPROVER_DEMANDED: "Required another person's approval of agents' writes",
    EventKind.OTHER_APPROVER_NOT_DEMANDED: "Stopped requiring another person's approval of agents' writes",
    EventKind.GUARD_CHANGED: "Changed the guard against exfiltration",
    EventKind.GUARD_TURNED_OFF: "Turned the guard against exfiltration off",
    EventKind.SCAN_SCHEDULE_CHANGED: "Changed when the sentry scans",
}
_MEANS = {
    "password": "a password",
    "github": "GitHub",
    "passkey": "a passkey",
    "link": "a link from an email",
    "demo_link": "the demo's one-time link",
    "code": "a code",
    "recovery_code": "a recovery code",
}
_ROLES = ("viewer", "editor", "owner")
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_PROGRAMS = {"basewarden-demo": "The start of the demo"}
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def describe_event(event: DetailText) -> str:
    """A sentence without its full stop; for a kind that this version does not know, the kind itself."""
    try:
        sentence = _SENTENCES[EventKind(event.kind)]
    except ValueError:
        sentence = event.kind.replace("_", " ").capitalize()
    count = event.details.get("count")
    if event.kind == EventKind.SESSIONS_ENDED and isinstance(count, int):
        sentence = "Signed out another session" if count == 1 else f"Signed out {count:,} other sessions"
    words = _describe_method(event.details) + _describe_role(event.details)
    named = f": “{event.name}”" if event.name else ""
    return sentence + words + named + _describe_fields(event)


def _describe_method(details: Mapping[str, Any]) -> str:
    means = [_MEANS[value] for key in ("method", "second", "by") if (value := str(details.get(key))) in _MEANS]
    return f" with {' and '.join(means)}" if means else ""


def _describe_role(details: Mapping[str, Any]) -> str:
    role = details.get("role")
    return f" as {role}" if role in _ROLES else ""


def _describe_fields(event: DetailText) -> str:
    fields = event.details.get("fields")
    return f" ({fields})" if event.kind == EventKind.AGENT_CHANGED and fields else ""


def describe_client(user_agent: str) -> str:
    """Such as Firefox on Linux, or "A program (curl)" for a client that is no browser."""
    name = name_client(user_agent)
    if name is None:
        return "unknown"
    return name if _find_browser(user_agent) else _PROGRAMS.get(name, f"A program ({name})")


def name_client(user_agent: str) -> str | None:
    """The name of a browser with its system, or what another user agent begins with; None without any."""
    browser = _find_browser(user_agent)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser is None:
        return user_agent.strip().partition(" ")[0].partition("/")[0] or None
    return f"{browser} on {system}" if system else browser


def _find_browser(user_agent: str) -> str | None:
    return next((name for mark, name in _BROWSERS if mark in user_agent), None)
