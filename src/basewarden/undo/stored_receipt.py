"""The receipt of an undo as the journal stores it, with what a later process needs to know of that undo."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from basewarden.undo.receipt import Receipt, RowConflict, write_as_text

_NAMES = {
    "already_reverted": "alreadyAsBefore",
    "undo_session_id": "undoSessionId",
    "preview_token": "previewToken",
    "remaining": "left",
    "irreversible_count": "lasting",
    "earlier_undos": "earlierUndos",
    "other_rows": "otherRows",
}


class StoredColumn(msgspec.Struct, frozen=True):
    name: str


class StoredConflict(msgspec.Struct, frozen=True, omit_defaults=True, rename={"primary_key": "primaryKey"}):
    """A row that the undo did not revert, or restored over newer values. The journal has its values already.

    The first version of the product stored the columns as plain names. `key` are the key's values in PostgreSQL's
    text, as the journal has them; receipts of earlier versions have none.
    """

    schema: str
    table: str
    primary_key: dict[str, Any]
    columns: tuple[StoredColumn | str, ...]
    reason: str
    key: tuple[str, ...] = ()


class StoredReceipt(msgspec.Struct, frozen=True, kw_only=True, rename=_NAMES):
    """`remaining` counts what the undo did not revert of its session, which was read up to `position`.

    Both are None in receipts that say nothing of it. `irreversible_count` counts what no undo can revert; an undo that
    may be interrupted stores it, so that `remaining` can be calculated from the writes that were journaled. `writes`
    are the undone ones of the session; none are all, else `other_rows` is how many rows the others changed and an undo
    could revert then (None in earlier versions). `earlier_undos` of the session, and undos
    of those, were in effect then: what they reverted is not counted. `overwritten` rows were restored over newer
    values, as far as the journal has their changes: an undo that may be interrupted stores them at its start.
    """

    planned: int = 0
    reverted: int = 0
    skipped: int = 0
    already_reverted: int = 0
    conflicts: tuple[StoredConflict, ...] = ()
    irreversible: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undo_session_id: UUID | None = None
    preview_token: str | None = None
    remaining: int | None = None
    position: int | None = None
    irreversible_count: int = 0
    writes: tuple[UUID, ...] = ()
    earlier_undos: tuple[UUID, ...] = ()
    overwritten: tuple[StoredConflict, ...] = ()
    other_rows: int | None = None

    def is_complete_at(self, position: int) -> bool:
        """Whether the undo reverted everything in a session that is at `position` now."""
        return self.remaining == 0 and self.position == position

    def after_interruption(self, written_rows: int, overwritten: tuple[StoredConflict, ...] = ()) -> "StoredReceipt":
        """The receipt of an undo whose process ended: of its rows, only those that the journal has are reverted.

        `overwritten` are those of the chosen rows that the journal has.
        """
        open_rows = self.planned - self.already_reverted
        reverted = min(open_rows, written_rows)
        skipped = open_rows - reverted
        remaining = skipped + self.irreversible_count
        return msgspec.structs.replace(
            self, reverted=reverted, skipped=skipped, remaining=remaining, overwritten=overwritten
        )


def make_stored_receipt(
    receipt: Receipt,
    *,
    remaining: int | None = None,
    position: int | None = None,
    irreversible_count: int = 0,
    writes: tuple[UUID, ...] = (),
    other_rows: int | None = None,
    earlier_undos: tuple[UUID, ...] = (),
) -> StoredReceipt:
    return StoredReceipt(
        planned=receipt.planned,
        reverted=receipt.reverted,
        skipped=receipt.skipped,
        already_reverted=receipt.already_reverted,
        conflicts=tuple(_make_stored_conflict(conflict) for conflict in receipt.conflicts),
        irreversible=receipt.irreversible,
        notes=receipt.notes,
        undo_session_id=receipt.undo_session_id,
        preview_token=receipt.preview_token,
        remaining=remaining,
        position=position,
        irreversible_count=irreversible_count,
        writes=writes,
        other_rows=other_rows,
        earlier_undos=earlier_undos,
        overwritten=tuple(_make_stored_conflict(edit) for edit in receipt.overwritten_edits),
    )


def _make_stored_conflict(conflict: RowConflict) -> StoredConflict:
    return StoredConflict(
        conflict.schema,
        conflict.table,
        {name: write_as_text(value) for name, value in conflict.primary_key.items()},
        tuple(StoredColumn(name) for name in conflict.columns),
        conflict.reason,
        conflict.key,
    )


def encode_receipt(receipt: StoredReceipt) -> dict[str, Any]:
    """As the column `receipt` of a journal session takes it."""
    encoded: dict[str, Any] = msgspec.to_builtins(receipt)
    optional: dict[str, object] = {
        "otherRows": () if receipt.other_rows is None else receipt.other_rows,
        "writes": receipt.writes,
        "earlierUndos": receipt.earlier_undos,
        "overwritten": receipt.overwritten,
    }
    return {name: value for name, value in encoded.items() if optional.get(name, ...) != ()}


def show_receipt(receipt: StoredReceipt) -> dict[str, Any]:
    """As the API answers it: conflicts have their key as `primaryKey` only."""
    conflicts = tuple(msgspec.structs.replace(conflict, key=()) for conflict in receipt.conflicts)
    return encode_receipt(msgspec.structs.replace(receipt, conflicts=conflicts))


def decode_receipt(stored: Mapping[str, Any] | None) -> StoredReceipt:
    """Reads the receipts of all versions of the product."""
    return msgspec.convert(stored or {}, StoredReceipt)
