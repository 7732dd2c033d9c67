"""What a person reads of it."""

from pathlib import Path

import pytest

import basewarden.audit
from basewarden.audit import (
    AccountEvent,
    AuditEvent,
    ClientInfo,
    EventKind,
    describe_client,
    describe_event,
    list_events,
)
from basewarden.web import Pages
from tests.audit.conftest import AuditDatabase
from tests.audit.test_audit import ADA, make_event

TEMPLATES = Path(basewarden.audit.__file__).parent / "templates"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML) Version/18.5 Mobile Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML) Chrome/138.0 Safari/537.36 Edg/138.0"


def test_every_kind_has_words_of_its_own() -> None:
    words = [describe_event(AccountEvent(ADA, kind)) for kind in EventKind]
    assert len(set(words)) == len(EventKind) > 30
    fallbacks = {str(kind).replace("_", " ").capitalize() for kind in EventKind}
    assert set(words) & fallbacks == set()


@pytest.mark.parametrize(
    ("kind", "name", "details", "words"),
    [
        ("signin", None, {"method": "password"}, "Signed in with a password"),
        ("signin", None, {"method": "password", "second": "code"}, "Signed in with a password and a code"),
        ("signin_failed", None, {"method": "github"}, "Failed to sign in with GitHub"),
        ("sessions_ended", None, {"count": 1}, "Signed out another session"),
        ("sessions_ended", None, {"count": 1200}, "Signed out 1,200 other sessions"),
        ("twofactor_failed", None, {"by": "recovery_code"}, "Failed two-factor authentication with a recovery code"),
        ("passkey_added", "phone", {}, "Added a passkey: “phone”"),
        ("agent_token_made", None, {"agent": "0"}, "Created an agent token"),
        ("came_with_a_newer_version", None, {"method": ["?"], "count": "?"}, "Came with a newer version"),
    ],
)
def test_words_include_the_count_the_means_and_the_name(
    kind: str, name: str | None, details: dict[str, object], words: str
) -> None:
    assert AuditEvent(kind=kind, name=name, details=details).words == words


@pytest.mark.parametrize(
    ("client", "words"),
    [(SAFARI, "Safari on iPhone"), (EDGE, "Edge on Windows"), ("curl/8.5.0", "A program (curl)"), (" ", "unknown")],
)
def test_a_client_is_named_as_people_know_it(client: str, words: str) -> None:
    assert describe_client(client) == words


def render(events: list[AuditEvent]) -> str:
    pages = Pages({"audit": TEMPLATES}, str)
    page = pages.environment.from_string('{% from "audit/events.html" import events_table %}{{ events_table(events) }}')
    return page.render(events=events)


async def test_the_table_shows_what_when_from_where_and_with_what(audit_db: AuditDatabase) -> None:
    await audit_db.record(
        make_event(EventKind.PASSKEY_ADDED, where=ClientInfo("203.0.113.7", SAFARI), details={"name": "<b>phone</b>"}),
        make_event(EventKind.SIGNOUT, where=ClientInfo()),
    )
    async with audit_db.database.read_only() as session:
        html = render(await list_events(session, ADA))
    assert html.index("Signed out") < html.index("Added a passkey")
    assert "“&lt;b&gt;phone&lt;/b&gt;”" in html
    assert "<b>" not in html
    assert "203.0.113.7" in html
    assert ">Safari on iPhone<" in html
    assert html.count(">unknown<") == 2
    assert html.count("<time ") == 2


def test_a_table_without_events_says_so() -> None:
    assert "No activity yet" in render([])
    assert "<table" not in render([])
