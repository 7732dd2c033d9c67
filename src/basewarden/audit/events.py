"""The kinds of audit events, and their details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

LONGEST_TEXT = 200
NAMES = ("name", "login")  # the details that people themselves choose

Fact = str | int | bool | UUID | None


class EventKind(StrEnum):
    """Kinds are only ever added, because the chain keeps its events. `words.py` has a sentence for each.

    The sentences know these `details`: `method` (password, github, passkey, link, demo_link), `second` or `by` (code,
    recovery_code, passkey), `count` of sessions_ended, `role` of a member, `fields` of an agent that were changed, and
    `name` of a passkey, an agent or a connection, or a GitHub `login`.
    """

    SIGNUP = "signup"
    SIGNIN = "signin"
    SIGNIN_FAILED = "signin_failed"
    SIGNOUT = "signout"
    SESSION_ENDED = "session_ended"
    SESSIONS_ENDED = "sessions_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_CHANGE_FAILED = "password_change_failed"  # noqa: S105 - the name of an event
    PASSWORD_SET = "password_set"  # noqa: S105 - the name of an event
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of an event
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105 - the name of an event
    EMAIL_VERIFIED = "email_verified"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"
    PROFILE_CHANGED = "profile_changed"
    TWOFACTOR_ON = "twofactor_on"
    TWOFACTOR_OFF = "twofactor_off"
    TWOFACTOR_OFF_FAILED = "twofactor_off_failed"
    TWOFACTOR_FAILED = "twofactor_failed"
    TWOFACTOR_PASSED = "twofactor_passed"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_USED = "passkey_used"
    PASSKEY_COPIED = "passkey_copied"
    GITHUB_LINKED = "github_linked"
    GITHUB_UNLINKED = "github_unlinked"
    REAUTHENTICATED = "reauthenticated"
    DATA_EXPORTED = "data_exported"
    DELETION_SCHEDULED = "deletion_scheduled"
    DELETION_FAILED = "deletion_failed"
    DELETION_CANCELLED = "deletion_cancelled"
    ACCOUNT_DELETED = "account_deleted"
    AGENT_TOKEN_MADE = "agent_token_made"  # noqa: S105 - the name of an event
    AGENT_TOKEN_REVOKED = "agent_token_revoked"  # noqa: S105 - the name of an event
    AGENT_CHANGED = "agent_changed"
    AGENT_PAUSED = "agent_paused"
    AGENT_RESUMED = "agent_resumed"
    AGENT_FROZEN = "agent_frozen"
    AGENT_RELEASED = "agent_released"
    ALL_AGENTS_FROZEN = "all_agents_frozen"
    ALL_AGENTS_RELEASED = "all_agents_released"
    SESSION_FROZEN = "session_frozen"
    SESSION_RELEASED = "session_released"
    CONNECTION_CREATED = "connection_created"
    CONNECTION_DELETED = "connection_deleted"
    ALERT_CREATED = "alert_created"
    ALERT_DELETED = "alert_deleted"
    ALERT_SECRET_ROTATED = "alert_secret_rotated"  # noqa: S105 - the name of an event
    MEMBER_INVITED = "member_invited"
    INVITATION_RESENT = "invitation_resent"
    INVITATION_REVOKED = "invitation_revoked"
    INVITATION_ACCEPTED = "invitation_accepted"
    MEMBER_ROLE_CHANGED = "member_role_changed"
    MEMBER_REMOVED = "member_removed"
    MEMBER_LEFT = "member_left"
    OWNERSHIP_GIVEN = "ownership_given"
    OWN_ROLE_CHANGED = "own_role_changed"
    OWN_MEMBERSHIP_ENDED = "own_membership_ended"
    OWNERSHIP_RECEIVED = "ownership_received"
    TWOFACTOR_DEMANDED = "twofactor_demanded"
    TWOFACTOR_NOT_DEMANDED = "twofactor_not_demanded"
    OTHER_APPROVER_DEMANDED = "other_approver_demanded"
    OTHER_APPROVER_NOT_DEMANDED = "other_approver_not_demanded"
    GUARD_CHANGED = "guard_changed"
    GUARD_TURNED_OFF = "guard_turned_off"
    SCAN_SCHEDULE_CHANGED = "scan_schedule_changed"


class EventGroup(StrEnum):
    """What a list of events can be narrowed to."""

    SIGN_INS = "sign-ins"
    ACCOUNT = "account"
    CONNECTIONS = "connections"


_SIGN_INS = (
    *(EventKind.SIGNUP, EventKind.SIGNIN, EventKind.SIGNIN_FAILED, EventKind.SIGNOUT, EventKind.SESSION_ENDED),
    *(EventKind.SESSIONS_ENDED, EventKind.TWOFACTOR_FAILED, EventKind.TWOFACTOR_PASSED, EventKind.RECOVERY_CODE_USED),
    *(EventKind.PASSKEY_USED, EventKind.PASSKEY_COPIED, EventKind.REAUTHENTICATED),
)
_KINDS = tuple(EventKind)
_OF_CONNECTIONS = _KINDS[_KINDS.index(EventKind.AGENT_TOKEN_MADE) :]
EVENT_GROUPS: Mapping[EventGroup, tuple[EventKind, ...]] = {
    EventGroup.SIGN_INS: _SIGN_INS,
    EventGroup.ACCOUNT: tuple(kind for kind in _KINDS if kind not in (*_SIGN_INS, *_OF_CONNECTIONS)),
    EventGroup.CONNECTIONS: _OF_CONNECTIONS,
}


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The client's address and user agent. Hostile text is cut and cleaned, so that it never makes a request fail."""

    address: str | None = None
    client: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", clean_text(self.address))
        object.__setattr__(self, "client", clean_text(self.client))


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """`subject` is the person's `audit_id`. Never a secret, never an email address.

    Of `details` a name or login is personal and goes when the person does. The others stay for good: ids, counts and
    words of ours only.
    """

    subject: UUID
    kind: EventKind
    client_info: ClientInfo = field(default_factory=ClientInfo)
    details: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "details", {key: _clean_fact(value) for key, value in self.details.items()})

    @property
    def name(self) -> str | None:
        return next((str(self.details[key]) for key in NAMES if self.details.get(key)), None)

    def list_lasting(self) -> dict[str, Fact]:
        """The details without those that people chose."""
        return {key: value for key, value in self.details.items() if key not in NAMES}

    def without_person(self) -> "AccountEvent":
        return AccountEvent(self.subject, self.kind, ClientInfo(), self.list_lasting())


def clean_text(text: str | None) -> str | None:
    """One short line that every database can store and every page can show; None if nothing is left."""
    if text is None:
        return None
    line = "".join(character if character.isprintable() else " " for character in text[:LONGEST_TEXT])
    return line.strip() or None


def _clean_fact(value: Fact) -> Fact:
    if isinstance(value, UUID):
        return str(value)
    return clean_text(value) if isinstance(value, str) else value
