"""The events that an alert can be about. A new one is a name here with its words, and its reader in `subjects.py`."""

from dataclasses import dataclass
from enum import StrEnum

from basewarden.core.brief import make_brief
from basewarden.web import count_things

TEST = "test"
"""The event of a message that a person sends to try a target."""


class AlertEventName(StrEnum):
    SESSION_FROZEN = "session_frozen"
    WRITE_REFUSED = "write_refused"
    UNDO_FINISHED = "undo_finished"
    PROPOSAL_CREATED = "proposal_created"
    FINDING_CRITICAL = "finding_critical"
    FINDING_WARNING = "finding_warning"
    SCHEMA_CHANGED = "schema_changed"


@dataclass(frozen=True, slots=True)
class EventWords:
    """`one` and `several` are what messages count; `path` is below the connection's and lists what happened."""

    title: str
    note: str
    one: str
    several: str
    verb: str
    path: str


EVENTS = {
    AlertEventName.SESSION_FROZEN: EventWords(
        "Session frozen",
        "An agent's session has used up its budget, or a member has stopped it.",
        "session was",
        "sessions were",
        "frozen",
        "/sessions?status=frozen",
    ),
    AlertEventName.WRITE_REFUSED: EventWords(
        "Request blocked",
        "An agent's limits did not allow what it tried.",
        "request was",
        "requests were",
        "blocked",
        "/refusals",
    ),
    AlertEventName.UNDO_FINISHED: EventWords(
        "Undo finished",
        "A session, or a part of it, was undone or redone.",
        "undo has",
        "undos have",
        "finished",
        "/sessions",
    ),
    AlertEventName.PROPOSAL_CREATED: EventWords(
        "Proposal waiting",
        "An agent proposed a write, which waits for a person's decision.",
        "proposal waits",
        "proposals wait",
        "for a decision",
        "/proposals",
    ),
    AlertEventName.FINDING_CRITICAL: EventWords(
        "Critical finding",
        "The sentry found that strangers can read or change rows, or read sensitive columns.",
        "critical finding was",
        "critical findings were",
        "opened",
        "/sentry?severity=critical",
    ),
    AlertEventName.FINDING_WARNING: EventWords(
        "Finding to look at",
        "The sentry found something of the severity “warning”.",
        "warning of the sentry was",
        "warnings of the sentry were",
        "opened",
        "/sentry?severity=warning",
    ),
    AlertEventName.SCHEMA_CHANGED: EventWords(
        "Schema changed",
        "A table, column, function, policy or grant of the database was added, changed or removed.",
        "change of the schema was",
        "changes of the schema were",
        "noticed",
        "/schema",
    ),
}


def check_event(name: str) -> AlertEventName:
    """Raises ValueError for what never happens, so that an alert never promises it."""
    if name not in list(AlertEventName):
        raise ValueError(f"must be one of {', '.join(AlertEventName)}")
    return AlertEventName(name)


def describe_events(event: AlertEventName, count: int, connection: str) -> str:
    """Returns "3 sessions were frozen on Shop"."""
    words = EVENTS[event]
    return f"{count_things(count, words.one, words.several)} {words.verb} on {make_brief(connection)}"


def describe_event_name(name: str) -> str:
    """Returns the title of an event, also of one that this version does not know."""
    if name in list(AlertEventName):
        return EVENTS[AlertEventName(name)].title
    return "Test" if name == TEST else make_brief(name)
