"""The values that the gateway passes to the journal."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from uuid import UUID

import msgspec

from basewarden.policy import CountedRows

Verb = Literal["insert", "update", "delete"]
Kind = Literal["agent", "member", "undo"]
Capture = Literal["statement", "representation"]
State = Literal["committed", "aborted", "unknown"]


@dataclass(frozen=True, slots=True)
class Image:
    """A whole row. `exact` is column to PostgreSQL's own text (None = SQL NULL); `shown` is its JSON object."""

    exact: Mapping[str, str | None]
    shown: bytes

    def key(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.exact[column] or "" for column in columns)


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row's change.

    `key_columns` is empty for a table without a key: the change is recorded, but cannot be undone. `set_columns` are
    those that the write itself named; triggers changed the others (None = not known).
    """

    schema: str
    table: str
    verb: Verb
    key_columns: tuple[str, ...]
    before: Image | None
    after: Image | None
    cause: str = "request"
    set_columns: tuple[str, ...] | None = None

    @property
    def row_key(self) -> str:
        image = self.before or self.after
        return encode_key(image.key(self.key_columns)) if image else "[]"

    @property
    def new_row_key(self) -> str | None:
        if self.before is None or self.after is None:
            return None
        key = encode_key(self.after.key(self.key_columns))
        return key if key != self.row_key else None


class UncapturedChanges(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many rows of a table a write changed without a record of them; `emptied` = all its rows, uncounted.

    The journal stores it as JSON under `unseen`.
    """

    schema: str
    table: str
    inserted: int
    updated: int
    deleted: int
    emptied: bool = False


@dataclass(frozen=True)
class SessionCaller:
    """The caller that a session belongs to; `label` is the client's own name for the session, if any.

    `max_writes` and `max_rows` are limits of one session, `max_rows_per_hour` of all its sessions together. All writes
    of a session have the same capture.
    """

    connection_id: UUID
    kind: Kind
    caller_id: UUID
    caller_name: str
    label: str | None = None
    max_writes: int | None = None
    max_rows: int | None = None
    max_rows_per_hour: int | None = None
    capture: Capture = "statement"

    @cached_property
    def caller_key(self) -> str:
        suffix = "" if self.capture == "statement" else f":{self.capture}"
        return f"{self.kind}:{self.caller_id}{suffix}"

    @cached_property
    def key(self) -> str:
        """Identifies the callers whose writes belong to one session. No label is empty."""
        return f"{self.connection_id}:{self.caller_key}:{self.label or ''}"


@dataclass(frozen=True, slots=True)
class WriteEntry:
    """A write that is about to commit. `xid` is the project database's 64-bit transaction id.

    Without an `xid` it is an intent: a request that will be sent to the project's API, with the rows as they were
    before. Its `IntentOutcome` follows; `reserve` is how many changes that may have.
    """

    caller: SessionCaller
    xid: int | None
    verb: str
    schema: str
    table: str
    summary: str
    changes: tuple[RowChange, ...]
    uncaptured: tuple[UncapturedChanges, ...] = ()
    session_id: UUID | None = None  # set by an undo, which has a session of its own
    reserve: int = 0
    cascaded: tuple[RowChange, ...] = ()  # rows that foreign keys may change after a reviewed intent; not stored
    write_id: UUID | None = None  # given where it must be known before: of an approved write

    @property
    def positions(self) -> int:
        """The number of positions in its session that it takes."""
        return max(len(self.changes), self.reserve)

    @property
    def rows(self) -> int:
        """The rows that count against budgets: those of cascades, and those that triggers and functions changed."""
        return self.positions + count_uncaptured(self.uncaptured)

    @property
    def tables(self) -> list[str]:
        named = [f"{self.schema}.{self.table}"] if self.verb not in ("call", "undo") else []
        return list(dict.fromkeys([*named, *list_tables(self.changes)]))

    @property
    def change_counts(self) -> list[dict[str, object]] | None:
        """The rows by table and verb; None where all have the table and verb of the write itself."""
        own = (self.verb, self.schema, self.table, "request")
        if all((change.verb, change.schema, change.table, change.cause) == own for change in self.changes):
            return None
        return count_changes(self.changes)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored write. `first_position` is the position before its first change, `positions` how many it has."""

    session_id: UUID
    write_id: UUID
    first_position: int = 0
    positions: int = 0
    counted: CountedRows | None = None
    """What an intent's rows were counted as, where a limit by the hour holds."""


@dataclass(frozen=True, slots=True)
class IntentOutcome:
    """The outcome of an intent. `changes` replace the images that the intent had; None keeps those."""

    recorded: Recorded
    connection_id: UUID
    state: State
    changes: tuple[RowChange, ...] | None = None
    uncaptured: tuple[UncapturedChanges, ...] = ()

    @property
    def rows(self) -> int | None:
        """How many rows count against budgets; None where that is not known."""
        if self.state == "unknown" or (self.state == "committed" and self.changes is None):
            return None
        return len(self.changes or ()) + count_uncaptured(self.uncaptured)


def count_uncaptured(changes: Iterable[UncapturedChanges]) -> int:
    return sum(one.inserted + one.updated + one.deleted for one in changes)


def list_tables(changes: Iterable[RowChange]) -> list[str]:
    return list(dict.fromkeys(f"{change.schema}.{change.table}" for change in changes))


def count_changes(changes: Iterable[RowChange]) -> list[dict[str, object]]:
    """Counts rows by table, verb and whether a foreign key changed them."""
    counts = Counter((change.verb, change.schema, change.table, change.cause != "request") for change in changes)
    return [
        {"verb": verb, "schema": schema, "table": table, "cascade": cascade, "rows": rows}
        for (verb, schema, table, cascade), rows in counts.items()
    ]


def encode_key(key: tuple[str, ...]) -> str:
    return msgspec.json.encode(key).decode()
