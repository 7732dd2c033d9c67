"""Seals every value again under the current key, while other processes serve and know both keys.

Safe to interrupt and to repeat: a value that is already under the current key is not touched, and one that is changed
meanwhile is kept and checked again.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog

from basewarden.db import Base, Database
from basewarden.vault import queries
from basewarden.vault.columns import SealedColumn, list_sealed_columns
from basewarden.vault.keys import FileKeyring
from basewarden.vault.sealing import SealContext, Vault, VaultError

BATCH_ROWS = 100
_SETTLE_SECONDS = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class RotationCount:
    """The result for one sealed column: how many values were sealed again, and how many no known key can decrypt."""

    column: str
    resealed: int
    unreadable: int


async def rotate_keys(database: Database, vault: Vault) -> list[RotationCount]:
    """With keys from the environment, the operator removes the old one once every value is readable."""
    keyring = vault.keyring
    if not isinstance(keyring, FileKeyring):
        return await _reseal_all(database, vault)
    keyring.begin_rotation()
    first = await _reseal_all(database, vault)
    await _wait_for_earlier_sealers(database)
    counts = _add(first, await _reseal_all(database, vault))
    if not any(count.unreadable for count in counts):
        keyring.end_rotation()
    return counts


async def _wait_for_earlier_sealers(database: Database) -> None:
    """A transaction that sealed under the old key just before the change may not have committed yet."""
    await asyncio.sleep(_SETTLE_SECONDS)
    async with database.read_only() as session:
        moment = await queries.read_clock(session)
    while True:
        async with database.read_only() as session:
            if not await queries.count_transactions_since_before(session, moment):
                return
        await asyncio.sleep(_SETTLE_SECONDS)


async def _reseal_all(database: Database, vault: Vault) -> list[RotationCount]:
    return [await _reseal_column(database, vault, sealed) for sealed in list_sealed_columns(Base.metadata)]


async def _reseal_column(database: Database, vault: Vault, sealed: SealedColumn) -> RotationCount:
    resealed, unreadable, after = 0, 0, None
    while True:
        async with database.unit_of_work() as session:
            rows = await queries.list_sealed_otherwise(
                session, sealed, vault.keyring.current().id, after=after, limit=BATCH_ROWS
            )
            for row_id, old in rows:
                new = _reseal(vault, sealed, row_id, old)
                if new is None:
                    unreadable += 1
                else:
                    resealed += await queries.replace_sealed(session, sealed, row_id, old=old, new=new)
        if not rows:
            return RotationCount(sealed.place_name, resealed, unreadable)
        after = rows[-1][0]


def _reseal(vault: Vault, sealed: SealedColumn, row_id: UUID, old: bytes) -> bytes | None:
    place = SealContext(sealed.place_name, row_id)
    try:
        return vault.seal(vault.open(old, place), place)
    except VaultError as error:
        _log.warning("vault.unreadable", column=sealed.place_name, row=str(row_id), reason=error.code)
        return None


def _add(first: list[RotationCount], second: list[RotationCount]) -> list[RotationCount]:
    """Unreadable values were counted twice; the remaining ones are what counts."""
    return [
        RotationCount(one.column, one.resealed + two.resealed, two.unreadable)
        for one, two in zip(first, second, strict=True)
    ]
