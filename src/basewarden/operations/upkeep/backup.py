"""`basewarden backup`: our whole database in one snapshot and one file, by COPY, which works with any server.

The keys are not included, so that the file alone does not reveal sealed values. Without them, those are lost.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path

import psycopg
from alembic.script import ScriptDirectory

from basewarden import __version__
from basewarden.core.secret import Secret
from basewarden.db import Base, driver_dsn
from basewarden.db.migrations import make_alembic_config
from basewarden.errors import StartError
from basewarden.operations.upkeep import queries
from basewarden.operations.upkeep.archive import ArchiveWriter, Manifest, SequenceEntry, TableEntry, write_closed
from basewarden.operations.upkeep.queries import Connection, TableShape
from basewarden.settings import Settings
from basewarden.vault import KEY_FILE_NAME, list_sealed_columns

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Backup:
    """The result. `key_file` None = the backup has no copy of the keys."""

    file: Path
    rows: int
    sealed: bool
    key_file: Path | None

    def list_sentences(self, settings: Settings) -> list[str]:
        """Formats the result for the operator's terminal."""
        sentences = [f"{self.file} contains {self.rows:,} rows."]
        if self.key_file is not None:
            return [*sentences, f"{self.key_file} contains the encryption key. Store it separately from the backup."]
        return [
            *sentences,
            "THE ENCRYPTION KEY IS NOT IN IT. Without the key every stored credential is lost.",
            f"Keep a copy of it elsewhere: it is {describe_key_home(settings)}.",
        ]


async def make_backup(settings: Settings, target: Path, progress: Progress, *, with_key: bool = False) -> Backup:
    """Reads while others write. Raises StartError if the backup cannot be made; then no file is left."""
    key_file = _find_new_key_file(target) if with_key else None
    writer = ArchiveWriter(target)
    try:
        async with connect(settings.database_url, "backup") as connection:
            manifest = await _write_tables(connection, writer, settings.database_url, progress)
        writer.finish(manifest)
    finally:
        writer.clean_up()
    if key_file is not None:
        write_closed(key_file, _read_keys(settings))
    return Backup(target, sum(table.rows for table in manifest.tables), bool(manifest.key_ids), key_file)


@asynccontextmanager
async def connect(database_url: Secret, purpose: str) -> AsyncIterator[Connection]:
    """Opens a connection on which the output of the session does not depend on the server's settings."""
    try:
        async with await psycopg.AsyncConnection.connect(
            driver_dsn(database_url), autocommit=True, application_name=f"basewarden {purpose}"
        ) as connection:
            await queries.fix_output(connection)
            yield connection
    except psycopg.Error as error:
        # Never the error's text: it may quote a row.
        state = f" {error.sqlstate}" if error.sqlstate else ""
        raise StartError(f"The {purpose} failed in the database: {type(error).__name__}{state}.") from None


async def list_own_tables(connection: Connection) -> list[TableShape]:
    """Lists our tables, parents before children, without foreign tables in our schema."""
    known = {table.name for table in Base.metadata.sorted_tables}
    tables = {
        table.name: table
        for table in await queries.list_tables(connection)
        if table.name in known or table.name.startswith(queries.QUEUE)
    }
    graph: dict[str, set[str]] = {name: set() for name in sorted(tables)}
    for child, parent in await queries.list_references(connection):
        if child in tables and parent in tables:
            graph[child].add(parent)
    return [tables[name] for name in TopologicalSorter(graph).static_order()]


async def _write_tables(
    connection: Connection, writer: ArchiveWriter, database_url: Secret, progress: Progress
) -> Manifest:
    tables = await list_own_tables(connection)
    revision = await _check_revision(connection, database_url)
    names = [table.name for table in tables]
    await queries.begin_snapshot(connection, names)
    entries = []
    for table in tables:
        progress(f"Reading {table.name}")
        entries.append(await _write_table(connection, writer, table))
    sequences = [
        SequenceEntry(name, *await queries.read_sequence(connection, name))
        for name in await queries.list_sequences(connection, names)
    ]
    return Manifest(
        program=__version__,
        made_at=datetime.now(UTC),
        revision=revision,
        server=str(connection.info.server_version),
        tables=entries,
        partitions=await queries.list_partitions(connection),
        sequences=sequences,
        key_ids=await _list_key_ids(connection),
    )


async def _write_table(connection: Connection, writer: ArchiveWriter, table: TableShape) -> TableEntry:
    async with connection.cursor() as cursor:
        with writer.table(table.name) as write:
            async with cursor.copy(queries.copy_out(table)) as copy:
                async for chunk in copy:
                    write(bytes(chunk))
        rows = cursor.rowcount
    return TableEntry(table.name, table.columns, rows, writer.digest(table.name))


async def _check_revision(connection: Connection, database_url: Secret) -> str:
    """Requires this version's schema: of another one, the backup could miss tables."""
    revision = await queries.find_revision(connection)
    if revision is None or revision != find_head(database_url):
        raise StartError(
            "The database has another version's schema. Run `basewarden migrate` first, "
            "or use the version of Basewarden that it belongs to."
        )
    return revision


def find_head(database_url: Secret) -> str | None:
    return ScriptDirectory.from_config(make_alembic_config(database_url)).get_current_head()


async def _list_key_ids(connection: Connection) -> list[str]:
    found: set[bytes] = set()
    for sealed in list_sealed_columns(Base.metadata):
        found.update(await queries.list_key_ids(connection, sealed))
    return sorted(key_id.hex() for key_id in found)


def describe_key_home(settings: Settings) -> str:
    path = _find_key_file(settings)
    return "the value of BASEWARDEN_ENCRYPTION_KEY" if path is None else f"the file {path}"


def _find_key_file(settings: Settings) -> Path | None:
    """Returns the file of keys, if this deployment's key came from it."""
    if settings.data_dir is None:
        return None
    path = settings.data_dir / KEY_FILE_NAME
    is_its = path.exists() and settings.encryption_key.reveal() in path.read_text().split()
    return path if is_its else None


def _find_new_key_file(target: Path) -> Path:
    key_file = target.with_name(f"{target.name}.keys")
    if key_file.exists():
        raise StartError(f"{key_file} already exists. Choose a new file name.")
    return key_file


def _read_keys(settings: Settings) -> str:
    """In the format of the data folder's own file: one key per line, the current one first."""
    path = _find_key_file(settings)
    given = (settings.encryption_key, settings.encryption_key_old)
    return path.read_text() if path is not None else "".join(f"{key.reveal()}\n" for key in given if key)
