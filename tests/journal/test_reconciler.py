"""What became of a pending write: only the project's database knows, and only its word counts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.gateway.projects import ask_connection
from basewarden.journal import Reconciler
from pgrest import DatabaseError, DbConnection, PgrestError
from pgrest.errors import DatabaseErrorFields
from tests.fixtures.journal import JournalDatabase
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import wait_until

_STATES = "SELECT xid, state FROM journal_writes ORDER BY xid"


@pytest.fixture
async def theirs(postgres: PostgresServer) -> AsyncIterator[str]:
    dsn = await postgres.create_database()
    yield dsn
    await postgres.drop_database(dsn)


async def _record(journal_db: JournalDatabase, *xids: int) -> None:
    recorder = await journal_db.recorder()
    for xid in xids:
        await recorder.record(journal_db.entry(1, xid=xid))


def _reconciler(journal_db: JournalDatabase, dsn: str) -> Reconciler:
    async def ask(connection_id: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        assert connection_id == journal_db.connection_id
        connection = await DbConnection.connect(dsn)
        try:
            return await ask_connection(connection, xids)
        finally:
            await connection.close()

    return Reconciler(journal_db.database, ask)


async def _xid(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute("SELECT pg_current_xact_id()::text")).fetchone()
    assert row is not None
    return int(row[0])


async def test_committed_aborted_running_and_never_heard_of(journal_db: JournalDatabase, theirs: str) -> None:
    reconciler = _reconciler(journal_db, theirs)
    async with (
        await psycopg.AsyncConnection.connect(theirs) as done,
        await psycopg.AsyncConnection.connect(theirs) as undone,
        await psycopg.AsyncConnection.connect(theirs) as running,
    ):
        committed, aborted, pending = await _xid(done), await _xid(undone), await _xid(running)
        await done.commit()
        await undone.rollback()
        too_old, future = 1, 2**62
        await _record(journal_db, committed, aborted, pending, too_old + 2, future)
        assert await reconciler.reconcile(journal_db.connection_id) == 1
        assert {row["xid"]: row["state"] for row in await journal_db.rows(_STATES)} == {
            too_old + 2: "unknown",
            committed: "committed",
            aborted: "aborted",
            pending: "pending",
            future: "unknown",
        }
        await running.commit()
    assert await reconciler.reconcile(journal_db.connection_id) == 0
    assert (await journal_db.rows(f"SELECT state FROM journal_writes WHERE xid = {pending}")) == [
        {"state": "committed"}
    ]


async def test_what_is_settled_is_not_asked_about_again(journal_db: JournalDatabase, theirs: str) -> None:
    asked: list[Sequence[int]] = []

    async def ask(_: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        asked.append(xids)
        return dict.fromkeys(xids, "committed")

    await _record(journal_db, 5, 6)
    reconciler = Reconciler(journal_db.database, ask)
    await reconciler.reconcile(journal_db.connection_id)
    await reconciler.reconcile(journal_db.connection_id)
    assert asked == [[5, 6]]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed(Reason.REFUSED),
        PgrestError(503, "PGRST000", "Database connection error."),
        DatabaseError(DatabaseErrorFields("57P03", "the database system is starting up")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_project_that_is_away_leaves_all_pending(journal_db: JournalDatabase, error: Exception) -> None:
    async def ask(_: UUID, __: Sequence[int]) -> Mapping[int, str | None]:
        raise error

    await _record(journal_db, 5)
    reconciler = Reconciler(journal_db.database, ask)
    assert await reconciler.try_reconcile(journal_db.connection_id) is None
    assert [row["state"] for row in await journal_db.rows(_STATES)] == ["pending"]


async def test_more_than_a_page_is_settled_in_one_go(journal_db: JournalDatabase) -> None:
    """An undo asks how many are left, and must not get the first page only."""
    await _record(journal_db, 5)
    await journal_db.rows(
        "INSERT INTO journal_writes (id, session_id, connection_id, xid, verb, schema_name, table_name,"
        " mutation_count, tables, summary) SELECT gen_random_uuid(), session_id, connection_id, n, 'insert', 'public',"
        " 't', 0, '{}', '' FROM journal_writes, generate_series(10, 2509) n RETURNING 1"
    )

    async def ask(_: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        return {xid: "in progress" if xid % 2 else "aborted" for xid in xids}

    assert await Reconciler(journal_db.database, ask).reconcile(journal_db.connection_id) == 1251
    assert await journal_db.rows("SELECT count(*) AS n FROM journal_writes WHERE state = 'pending'") == [{"n": 1251}]


async def test_writes_that_go_on_do_not_keep_it_busy(journal_db: JournalDatabase) -> None:
    asked: list[Sequence[int]] = []

    async def ask(_: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        asked.append(xids)
        assert len(asked) < 3
        await _record(journal_db, 5 + len(asked))
        return dict.fromkeys(xids, "in progress")

    await _record(journal_db, 5)
    assert await Reconciler(journal_db.database, ask).reconcile(journal_db.connection_id) == 1
    assert asked == [[5]]


async def test_it_goes_on_once_our_database_is_back(
    journal_db: JournalDatabase, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("basewarden.journal.reconciler.INTERVAL_SECONDS", 0.02)

    async def ask(_: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        return dict.fromkeys(xids, "committed")

    await _record(journal_db, 5)
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(journal_db.dsn.rpartition("/")[2])
    database = Database(Secret(journal_db.dsn))
    reconciler = Reconciler(database, ask)
    await postgres.admin.execute(allow.format(name, sql.Literal(False)))
    with capture_logs() as lines:
        await reconciler.start()
        await wait_until(lambda: "reconciler.failed" in {line["event"] for line in lines}, "a failed round")
    await postgres.admin.execute(allow.format(name, sql.Literal(True)))
    await wait_until(
        lambda: journal_db.rows(_STATES), "a settled write", matches=lambda r: r[0]["state"] == "committed"
    )
    await reconciler.stop()
    await database.close()
