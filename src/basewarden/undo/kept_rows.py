"""The rows that an undo left as they were, with their values from the journal, for its receipt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.db import ReadSession
from basewarden.journal import JournalMutation, JournalSession, encode_key, list_row_history
from basewarden.undo.conflict_view import ConflictValue, ConflictView, LastWriter, show_reason
from basewarden.undo.diff_view import ImageNames, name_image
from basewarden.undo.overwritten_rows import list_key
from basewarden.undo.planning.samples import MAX_LABEL, MAX_VALUE, show_short_key
from basewarden.undo.stored_receipt import StoredConflict

HISTORY_READ = 20
Image = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class KeptHistory:
    """A kept row as it was recorded last, its values where all its changes were read, and who wrote it last.

    `derived` are the columns that triggers had set.
    """

    conflict: StoredConflict
    image: Image
    values: tuple[ConflictValue, ...] = ()
    derived: tuple[str, ...] = ()
    writer: LastWriter | None = None


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows that an undo left as they were, from number `start` on; `before` is the group of the one before."""

    rows: tuple[ConflictView, ...]
    total: int
    start: int
    before: tuple[str, str] | None

    @property
    def end(self) -> int:
        return self.start + len(self.rows)

    @property
    def more(self) -> int:
        return self.total - self.end


def sort_kept(conflicts: Iterable[StoredConflict]) -> list[StoredConflict]:
    """By table and reason, as the preview groups them, then by key; whole numbers by their size."""
    return sorted(
        conflicts, key=lambda one: (one.schema, one.table, one.reason, [(len(key), key) for key in list_key(one)])
    )


def name_kept_row(conflict: StoredConflict, image: Image, names: ImageNames) -> str:
    return name_image(names, image, tuple(conflict.primary_key)) or make_brief(", ".join(list_key(conflict)), MAX_LABEL)


def shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)


async def read_kept(
    db: ReadSession, connection_id: UUID, undo: JournalSession, conflict: StoredConflict
) -> KeptHistory:
    """Reads the recorded changes of a kept row before the undo. Values are known only if none is left out."""
    key = encode_key(list_key(conflict))
    found = await list_row_history(db, connection_id, conflict.schema, conflict.table, key, limit=HISTORY_READ)
    image = (found[0][0].mutation.after_exact or found[0][0].mutation.before_exact or {}) if found else {}
    before = [(view.mutation, session) for view, session in found if view.mutation.at < undo.started_at]
    own = [mutation for mutation, session in before if session.id == undo.undo_of]
    if not own or len(found) == HISTORY_READ or any(view.state != "committed" for view, _ in found):
        return KeptHistory(conflict, image)
    last, session = before[0]
    is_recorded = session.id != undo.undo_of
    writer = LastWriter(None)
    if is_recorded:
        writer = LastWriter(session.caller_name, last.at, f"/c/{connection_id}/sessions/{session.id}")
    columns = _list_columns(conflict)
    named = _list_named(own)
    shown = [column for column in columns if named is None or column in named] or columns
    values = tuple(
        ConflictValue(
            make_brief(column),
            shorten((own[-1].before_exact or {}).get(column)),
            shorten((own[0].after_exact or {}).get(column)),
            shorten((last.after_exact or {}).get(column)),
            is_recorded,
        )
        for column in shown
    )
    derived = tuple(make_brief(column) for column in columns if column not in shown)
    is_gone = is_recorded and last.verb == "delete"
    return KeptHistory(conflict, image, values, derived, replace(writer, is_deletion=is_gone))


def _list_named(own: Sequence[JournalMutation]) -> frozenset[str] | None:
    """The columns that the session's writes of a row named; None where this is not known of all."""
    if any(change.set_columns is None or change.verb != "update" for change in own):
        return None
    return frozenset(column for change in own for column in change.set_columns or ())


def _list_columns(conflict: StoredConflict) -> list[str]:
    return [column if isinstance(column, str) else column.name for column in conflict.columns]


def show_kept(connection_id: UUID, kept: KeptHistory, names: ImageNames) -> ConflictView:
    conflict = kept.conflict
    key = list_key(conflict)
    name = name_kept_row(conflict, kept.image, names)
    is_gone = kept.writer is not None and kept.writer.is_deletion
    return ConflictView(
        table=f"{conflict.schema}.{conflict.table}",
        name=name,
        key=show_short_key(key, name),
        href=row_path(connection_id, conflict.schema, conflict.table, key) if key and not is_gone else None,
        reason=show_reason(conflict.reason, has_values=bool(kept.values)),
        values=kept.values,
        columns=tuple(make_brief(column) for column in _list_columns(conflict)) if not kept.values else (),
        writer=kept.writer,
        derived=kept.derived,
        id=None,
        is_restored=False,
        deletes=False,
    )
