"""The SQL of key rotation, for any table with a sealed column."""

from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.vault.columns import SealedColumn
from basewarden.vault.keys import KEY_ID_BYTES

_KEY_ID_STARTS_AT = 2


async def list_sealed_otherwise(
    session: AsyncSession, sealed: SealedColumn, key_id: bytes, *, after: UUID | None, limit: int
) -> list[tuple[UUID, bytes]]:
    """Lists rows whose value is not sealed under this key, in the order of their ids."""
    row_id = sealed.table.c.id
    its_key = func.substring(sealed.column, _KEY_ID_STARTS_AT, KEY_ID_BYTES)
    query = select(row_id, sealed.column).where(its_key != key_id).order_by(row_id).limit(limit)
    if after is not None:
        query = query.where(row_id > after)
    return [(found_id, value) for found_id, value in await session.execute(query)]


async def replace_sealed(session: AsyncSession, sealed: SealedColumn, row_id: UUID, *, old: bytes, new: bytes) -> bool:
    """Replaces sealed values by compare-and-set, so that a concurrent change is kept."""
    query = (
        update(sealed.table)
        .where(sealed.table.c.id == row_id, sealed.column == old)
        .values({sealed.column: new})
        .returning(sealed.table.c.id)
    )
    return (await session.execute(query)).first() is not None


async def read_clock(session: AsyncSession) -> str:
    """Returns the database's time as text, which only the database compares."""
    return str(await session.scalar(text("SELECT clock_timestamp()::text")))


async def count_transactions_since_before(session: AsyncSession, moment: str) -> int:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state <> 'idle' AND xact_start < CAST(:moment AS timestamptz)"
    )
    return int(await session.scalar(query, {"moment": moment}) or 0)
