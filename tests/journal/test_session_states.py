"""The state of a session in words, and what its undos have left."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from basewarden.journal.models import JournalSession
from basewarden.journal.sessions.queries import count_undone
from basewarden.journal.sessions.states import AgentStop, find_state, find_status

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=1)
FIRST, SECOND = uuid4(), uuid4()


@dataclass
class _Undo:
    planned: int
    skipped: int = 0
    redone: int = 0
    writes: list[str] | None = None
    others: int | None = None
    earlier: list[str] | None = None
    id: UUID = field(default_factory=uuid4)
    caller_name: str = "Ada"
    started_at: datetime = NOW


@pytest.mark.parametrize(
    ("given", "status", "state"),
    [
        ({"kind": "agent"}, "active", "running"),
        ({"kind": "agent", "last_seen_at": timedelta(minutes=2)}, "active", "idle"),
        ({"kind": "agent", "last_seen_at": timedelta(hours=1)}, "ended", "ended"),
        ({"kind": "agent", "frozen_at": NOW}, "frozen", "frozen"),
        ({"kind": "agent", "status": "held"}, "active", "being undone"),
        ({"kind": "agent", "status": "partly_undone"}, "partly_undone", "partly undone"),
        ({"kind": "member"}, "ended", ""),
        ({"kind": "member", "status": "undone"}, "undone", "undone"),
        ({"kind": "undo", "undo_state": "done"}, "ended", ""),
        ({"kind": "undo", "undo_state": "running"}, "ended", "undoing"),
        ({"kind": "undo", "undo_state": "failed"}, "ended", "failed"),
        ({"kind": "undo", "undo_state": "done", "status": "undone"}, "undone", "undone"),
    ],
)
def test_only_agents_run(given: dict[str, Any], status: str, state: str) -> None:
    """`last_seen_at` is given as how long ago it is, since the cases are made long before they run."""
    seen = datetime.now(UTC) - given.get("last_seen_at", timedelta())
    session = JournalSession(**{"status": "open", **given, "last_seen_at": seen})
    assert (find_status(session), find_state(session)) == (status, state)


@pytest.mark.parametrize(
    ("stop", "last_seen_at", "status", "state"),
    [
        (AgentStop("frozen", NOW), NOW - timedelta(minutes=1), "frozen", "frozen"),
        (AgentStop("frozen", LONG_AGO), LONG_AGO - timedelta(minutes=1), "frozen", "frozen"),
        (AgentStop("frozen", NOW), LONG_AGO, "ended", "ended"),
        (AgentStop("paused", NOW), NOW, "ended", "paused"),
        (AgentStop("paused", NOW), LONG_AGO, "ended", "ended"),
        (AgentStop("ended"), NOW, "ended", "ended"),
    ],
)
def test_no_session_of_a_stopped_agent_runs(stop: AgentStop, last_seen_at: datetime, status: str, state: str) -> None:
    session = JournalSession(kind="agent", status="open", last_seen_at=last_seen_at)
    assert (find_status(session, stop), find_state(session, stop)) == (status, state)
    session = JournalSession(kind="agent", status="undone", last_seen_at=last_seen_at)
    assert find_state(session, stop) == "undone"


def test_a_redo_that_runs_is_called_one() -> None:
    session = JournalSession(kind="undo", status="open", undo_state="running", last_seen_at=NOW)
    assert find_state(session, is_redo=True) == "redoing"


@pytest.mark.parametrize(
    ("undos", "undone", "left", "covered"),
    [
        ([_Undo(104, skipped=1)], 103, 1, (True, True)),
        ([_Undo(5, writes=[str(FIRST)])], 5, 99, (True, False)),
        ([_Undo(5, writes=[str(FIRST)]), _Undo(99, skipped=2)], 102, 2, (True, True)),
        ([_Undo(104, skipped=9), _Undo(104, skipped=4)], 100, 4, (True, True)),
        ([_Undo(104, redone=4)], 100, 4, (True, True)),
        ([_Undo(104, skipped=4), _Undo(3, skipped=1, writes=[str(FIRST)])], 102, 2, (True, True)),
        ([_Undo(5, writes=[str(FIRST)], others=7)], 5, 7, (True, False)),
        ([_Undo(5, skipped=1, redone=2, writes=[str(FIRST)], others=7)], 2, 10, (True, False)),
        ([_Undo(1, writes=[str(FIRST)]), _Undo(1, writes=[str(SECOND)], others=7)], 2, 102, (True, True)),
    ],
)
def test_what_undos_have_left_counts_rows(undos: list[Any], undone: int, left: int, covered: tuple[bool, bool]) -> None:
    found = count_undone(undos, 104)
    assert (found.undone, found.left, (found.covers(FIRST), found.covers(SECOND))) == (undone, left, covered)
    assert found.describe() == f"{undone} of {undone + left} undone"
    assert found.undo_id == undos[-1].id


@pytest.mark.parametrize(
    ("undo", "is_all_kept"),
    [
        (_Undo(104, skipped=4), True),
        (_Undo(104, skipped=4, redone=1), False),
        (_Undo(5, skipped=1, writes=[str(FIRST)]), False),
        (_Undo(104), False),
    ],
)
def test_rows_that_keep_newer_edits_are_not_left_to_undo(undo: Any, is_all_kept: bool) -> None:
    assert count_undone([undo], 104).is_all_kept is is_all_kept
