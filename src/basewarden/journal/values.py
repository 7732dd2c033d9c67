"""The values that the gateway hands to the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import msgspec

Verb = Literal["insert", "update", "delete"]
Kind = Literal["agent", "member", "undo"]


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

    `key_columns` is empty for a table without a key: recorded, but it cannot be undone. `set_columns` are those
    that the write itself named; what else changed, triggers did (None = not known).
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


@dataclass(frozen=True, slots=True)
class SessionCaller:
    """Whose session a write belongs to. `label` is the client's own name for the run, if it gave one."""

    connection_id: UUID
    kind: Kind
    caller_id: UUID
    caller_name: str
    label: str | None = None
    max_writes: int | None = None

    @property
    def caller_key(self) -> str:
        return f"{self.kind}:{self.caller_id}"


@dataclass(frozen=True, slots=True)
class WriteEntry:
    """One transaction about to commit. `xid` is the project database's 64-bit transaction id."""

    caller: SessionCaller
    xid: int
    verb: str
    schema: str
    table: str
    summary: str
    changes: tuple[RowChange, ...]
    unseen: tuple[dict[str, object], ...] = ()
    session_id: UUID | None = None  # an undo names its own

    @property
    def tables(self) -> list[str]:
        named = [f"{self.schema}.{self.table}"] if self.verb not in ("call", "undo") else []
        return list(dict.fromkeys([*named, *(f"{change.schema}.{change.table}" for change in self.changes)]))


@dataclass(frozen=True, slots=True)
class Recorded:
    session_id: UUID
    write_id: UUID


def encode_key(key: tuple[str, ...]) -> str:
    return msgspec.json.encode(key).decode()
