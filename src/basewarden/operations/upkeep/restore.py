"""`basewarden restore`: restores a backup into an empty database, in one transaction, then migrates the schema."""

import asyncio
import gzip
import re
import zlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from basewarden.core.secret import Secret
from basewarden.db.migrations import make_alembic_config, migrate
from basewarden.errors import StartError
from basewarden.journal import partition_bounds
from basewarden.operations.upkeep import queries
from basewarden.operations.upkeep.archive import Archive, Manifest, TableEntry
from basewarden.operations.upkeep.backup import Progress, connect, describe_key_home, list_own_tables
from basewarden.operations.upkeep.queries import Connection, TableShape
from basewarden.settings import Settings
from basewarden.vault import Vault, make_keyring

_PARTITION = re.compile(r"journal_mutations_(\d{4})_(\d{2})")


@dataclass(frozen=True)
class Restored:
    rows: int
    made_at: str

    def list_sentences(self) -> list[str]:
        return [f"{self.rows:,} rows of {self.made_at} were restored. Run `basewarden audit verify` and `doctor` next."]


async def restore_backup(
    settings: Settings, source: Path, progress: Progress, *, without_key: bool = False
) -> Restored:
    """Raises StartError if it cannot be done; then the database is still empty."""
    archive = Archive(source)
    try:
        manifest = archive.manifest
        if not without_key:
            _check_keys(settings, manifest)
        progress("Checking the backup")
        archive.check()
        async with connect(settings.database_url, "restore") as connection:
            await _check_empty(connection)
            await asyncio.to_thread(
                _bring_to, settings.database_url, await queries.find_revision(connection), manifest.revision
            )
            async with connection.transaction():
                await _fill(connection, archive, progress)
        await asyncio.to_thread(migrate, settings.database_url)
    finally:
        archive.close()
    return Restored(sum(table.rows for table in manifest.tables), f"{manifest.made_at:%Y-%m-%d %H:%M} UTC")


def _check_keys(settings: Settings, manifest: Manifest) -> None:
    """Runs before anything is written: a deployment that cannot decrypt its credentials looks complete but is not."""
    keyring = Vault(make_keyring(settings)).keyring
    missing = [key_id for key_id in manifest.key_ids if keyring.find(bytes.fromhex(key_id)) is None]
    if missing:
        raise StartError(
            f"This backup contains credentials sealed with another key ({', '.join(missing)}). Provide that key first; "
            f"the key of this deployment is {describe_key_home(settings)}. With --without-key, they are lost."
        )


async def _check_empty(connection: Connection) -> None:
    if await queries.count_other_processes(connection):
        raise StartError("Basewarden is running on this database. Stop it first.")
    for table in await list_own_tables(connection):
        if not table.name.startswith(queries.QUEUE) and await queries.is_filled(connection, table.name):
            raise StartError(f"This database is not empty ({table.name} contains rows). Restore into a new database.")


def _bring_to(database_url: Secret, current: str | None, wanted: str) -> None:
    """Migrates to the schema of the backup, up or down; the database is empty, so that nothing is lost."""
    config = make_alembic_config(database_url)
    order = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if wanted not in order:
        raise StartError("This backup was made by a newer Basewarden. Restore it with that version.")
    if current is not None and current not in order:
        raise StartError("This database was made by a newer Basewarden. Restore into a new database.")
    if current is not None and order.index(current) < order.index(wanted):
        command.downgrade(config, wanted)
    else:
        command.upgrade(config, wanted)


async def _fill(connection: Connection, archive: Archive, progress: Progress) -> None:
    manifest = archive.manifest
    here = {table.name: table for table in await list_own_tables(connection)}
    names = [table.name for table in manifest.tables]
    _check_shapes(manifest, here)
    await queries.lock_for_restore(connection, names)
    await _check_empty(connection)  # again: under the lock it stays so
    await queries.empty(connection, [name for name in reversed(names) if name.startswith(queries.QUEUE)])
    await _make_partitions(connection, manifest.partitions)
    triggers = await queries.list_insert_triggers(connection, names)
    for trigger in triggers:
        # The audit's triggers would renumber and rehash its rows; the queue's would announce old jobs.
        await queries.turn_off(connection, trigger)
    for table in manifest.tables:
        progress(f"Writing {table.name}")
        await _fill_table(connection, archive, table)
    for trigger in triggers:
        await queries.turn_on(connection, trigger)
    for sequence in manifest.sequences:
        await queries.set_sequence(connection, sequence.name, sequence.value, is_called=sequence.is_called)


def _check_shapes(manifest: Manifest, here: dict[str, TableShape]) -> None:
    for table in manifest.tables:
        if table.name not in here or set(table.columns) != set(here[table.name].columns):
            raise StartError(f"The backup's table {table.name} has other columns than the one in this database.")


async def _make_partitions(connection: Connection, names: list[str]) -> None:
    for name in names:
        match = _PARTITION.fullmatch(name)
        if match is None:
            raise StartError(f"The backup contains an unknown partition of the journal: {name[:80]!r}.")
        try:
            first = date(int(match[1]), int(match[2]), 1)
        except ValueError:
            raise StartError(f"The backup contains a partition of an invalid month: {name}.") from None
        ((_, start, end),) = partition_bounds(first, months_ahead=0)
        await queries.make_partition(connection, name, start, end)


async def _fill_table(connection: Connection, archive: Archive, table: TableEntry) -> None:
    async with connection.cursor() as cursor:
        try:
            async with cursor.copy(queries.copy_in(TableShape(table.name, table.columns))) as copy:
                for chunk in archive.chunks(table.name):
                    await copy.write(chunk)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise StartError(f"The backup's {table.name} is damaged. Use another backup.") from None
        if cursor.rowcount != table.rows:
            raise StartError(f"{table.name} was restored with {cursor.rowcount} rows instead of {table.rows}.")
