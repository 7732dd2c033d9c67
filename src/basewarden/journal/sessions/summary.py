"""A session as lists and pages show it."""

from dataclasses import dataclass

from basewarden.journal.models import JournalSession
from basewarden.journal.sessions.states import AgentStop, UndoneRows, find_state, find_status
from basewarden.journal.sessions.titles import UndoOrigin, VerbCount, describe_session, show_name


@dataclass(frozen=True)
class SessionSummary:
    """A session in a list; `mutation_count` counts committed mutations only, `writes` all that were not rolled back.

    `distinct_rows` counts a row once, however often it was changed; None where that was not counted.
    Rows and writes are counted separately: an insert with an unknown outcome has no rows. `changes` are those of
    committed and pending writes; `is_partial`: only the newest writes were counted. `stop` is its agent's.
    """

    session: JournalSession
    mutation_count: int
    pending_count: int
    unknown_count: int
    tables: tuple[str, ...]
    pending_writes: int = 0
    unknown_writes: int = 0
    writes: int = 0
    refused_count: int = 0
    changes: tuple[VerbCount, ...] = ()
    unknown_changes: tuple[VerbCount, ...] = ()
    origin: UndoOrigin | None = None
    blocked: str | None = None
    is_partial: bool = False
    undone: UndoneRows | None = None
    distinct_rows: int | None = None
    stop: AgentStop | None = None

    @property
    def rows(self) -> int:
        """How many rows it changed."""
        return self.mutation_count if self.distinct_rows is None else self.distinct_rows

    @property
    def status(self) -> str:
        """The status in the API: undone, partly_undone, frozen, active or ended."""
        return find_status(self.session, self.stop)

    @property
    def state(self) -> str:
        """The state as pages show it: "running", "idle", "partly undone"; "" for a person's own edits."""
        return find_state(self.session, self.stop, is_redo=self.origin is not None and self.origin.is_redo)

    @property
    def left(self) -> int:
        """How many of its rows an undo would restore: 0 for a session that is undone, or whose undo failed."""
        if self.session.status == "undone" or self.session.undo_state in ("failed", "running"):
            return 0
        return self.undone.left if self.undone is not None else self.rows

    @property
    def is_undoable(self) -> bool:
        """Whether an undo would find rows to restore: those that keep newer edits are left, but stay as they are."""
        return self.left > 0 and not (self.undone is not None and self.undone.is_all_kept)

    @property
    def table_names(self) -> list[str]:
        """The tables, without their schema where they have the same one."""
        split = [table.partition(".") for table in self.tables]
        is_qualified = len({schema for schema, _, _ in split}) > 1
        return [show_name(f"{schema}.{name}" if is_qualified else name or schema) for schema, _, name in split]

    @property
    def title(self) -> str:
        """What the session did, in words."""
        return self._describe(self.session.label)

    @property
    def heading(self) -> str:
        """The title without the session's label."""
        return self._describe(None)

    def _describe(self, label: str | None) -> str:
        return describe_session(
            self.changes,
            label=label,
            unknown=self.unknown_changes,
            origin=self.origin,
            blocked=self.blocked,
            is_partial=self.is_partial,
        )
