"""Reads a session's writes from the journal in pages of a bounded size, and refuses sessions that exceed the memory."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import Image, JournalWrite, RowChange, UncapturedChanges
from basewarden.undo.errors import UndoTooLarge
from basewarden.undo.planning.fold import RecordedWrite

MEASURED_AT_ONCE = 2000
PAGE_ROWS = 200
"""Rows that are decoded without a pause of the event loop."""
PAGE_BYTES = 4 * 1024 * 1024
ROW_COST = 2048
"""The approximate memory of a row beside its images, in bytes."""
_exact = msgspec.json.Decoder(dict[str, str | None])

_MEASURE = text("""
    SELECT position, coalesce(octet_length(before_exact::text), 0) + coalesce(octet_length(after_exact::text), 0)
    FROM journal_mutations WHERE session_id = :id AND position > :after AND position <= :up_to
    ORDER BY position LIMIT :rows
""")
# Images stay text, and only the key is read of the JSON that people see, as it is written there. PostgreSQL reads
# nothing of JSON with a NUL in it, which a column of type json can hold: that is read whole.
_READ = text(r"""
    SELECT m.write_id, m.schema_name, m.table_name, m.verb, m.key_columns, m.cause, m.set_columns,
           m.before_exact::text AS before_exact, m.after_exact::text AS after_exact,
           CASE WHEN strpos(coalesce(m.after, m.before)::text, '\u0000') = 0
                THEN (SELECT json_object_agg(k, coalesce(m.after, m.before) -> k) FROM unnest(m.key_columns) AS k)::text
                ELSE coalesce(m.after, m.before)::text END AS shown
    FROM journal_mutations AS m
    WHERE m.session_id = :id AND m.position > :after AND m.position <= :up_to
    ORDER BY m.position
""")


async def read_writes(session: AsyncSession, session_id: UUID, up_to: int, *, budget: int) -> list[RecordedWrite]:
    """Returns committed and unknown writes in the order of their mutations. Raises UndoTooLarge."""
    writes = await session.scalars(
        select(JournalWrite)
        .where(JournalWrite.session_id == session_id, JournalWrite.state.in_(("committed", "unknown")))
        .order_by(JournalWrite.id)
    )
    recorded = {write.id: write for write in writes}
    changes: dict[UUID, list[RowChange]] = {}
    async for row in _read_rows(session, session_id, up_to, budget):
        if row.write_id in recorded:
            changes.setdefault(row.write_id, []).append(_read_change(row))
    order = {write_id: place for place, write_id in enumerate(changes)}
    ordered = sorted(recorded.values(), key=lambda write: order.get(write.id, len(order)))
    return [
        RecordedWrite(
            write.state,
            write.verb,
            write.schema,
            write.table,
            tuple(changes.pop(write.id, ())),
            msgspec.convert(write.unseen or (), tuple[UncapturedChanges, ...]),
            write.id,
        )
        for write in ordered
    ]


async def _read_rows(session: AsyncSession, session_id: UUID, up_to: int, budget: int) -> AsyncIterator[Any]:
    after, spent = 0, 0
    while True:
        sizes = (
            await session.execute(
                _MEASURE, {"id": session_id, "after": after, "up_to": up_to, "rows": MEASURED_AT_ONCE}
            )
        ).all()
        if not sizes:
            return
        spent += sum(size + ROW_COST for _, size in sizes)
        if spent > budget:
            raise UndoTooLarge(details={"limitBytes": budget})
        for last in cut_pages([(position, size) for position, size in sizes]):
            for row in await session.execute(_READ, {"id": session_id, "after": after, "up_to": last}):
                yield row
            after = last


def cut_pages(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The last position of each page, which has as many rows as fit and at least one."""
    ends: list[int] = []
    rows = filled = 0
    for position, size in sizes:
        if ends and rows < PAGE_ROWS and filled + size <= PAGE_BYTES:
            ends[-1] = position
        else:
            ends.append(position)
            rows = filled = 0
        rows, filled = rows + 1, filled + size
    return ends


def _read_change(row: Any) -> RowChange:
    return RowChange(
        row.schema_name,
        row.table_name,
        row.verb,
        tuple(row.key_columns),
        _read_image(row.before_exact, row.shown),
        _read_image(row.after_exact, row.shown),
        row.cause,
        None if row.set_columns is None else tuple(row.set_columns),
    )


def _read_image(exact: str | None, shown: str | None) -> Image | None:
    if exact is None or exact == "null":
        return None
    return Image(_exact.decode(exact), (shown or "{}").encode())
