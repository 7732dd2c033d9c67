"""The engine and the unit of work: one request or one job is one transaction, committed at the edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NewType

import psycopg
import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from basewarden.core.secret import Secret
from basewarden.db.holding import HeldSession, track_session
from basewarden.db.locks import Locks
from basewarden.errors import StartError, Unavailable

ReadSession = NewType("ReadSession", AsyncSession)
WriteSession = NewType("WriteSession", AsyncSession)

MIN_SERVER_VERSION = 150000
CONNECT_TIMEOUT_SECONDS = 10
_log = structlog.get_logger()


def sqlalchemy_url(database_url: Secret) -> str:
    """Returns the address for SQLAlchemy's engine, with the password."""
    return make_url(database_url.reveal()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def driver_dsn(database_url: Secret) -> str:
    """Returns the address for psycopg, with the password."""
    return make_url(database_url.reveal()).set(drivername="postgresql").render_as_string(hide_password=False)


class Database:
    """Our PostgreSQL. Feature code gets a session and never commits it."""

    def __init__(self, database_url: Secret, *, pool_size: int = 10) -> None:
        self.url = database_url
        self.locks = Locks(Secret(driver_dsn(database_url)))
        self.engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=10,
            pool_pre_ping=True,
            hide_parameters=True,  # the text of an error must not hold parameters
            connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": "basewarden"},
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, sync_session_class=HeldSession)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[WriteSession]:
        """Commits when the block ends, rolls back when it raises. Takes a connection with its first statement."""
        async with self._begin(None) as session:
            yield WriteSession(session)

    @asynccontextmanager
    async def read_only(self) -> AsyncIterator[ReadSession]:
        """A READ ONLY transaction: a write in it fails in PostgreSQL. Takes a connection with its first statement."""
        async with self._begin("SET TRANSACTION READ ONLY") as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ReadSession]:
        """A READ ONLY transaction that reads everything as of its first statement."""
        async with self._begin("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY") as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def write_now(self) -> AsyncIterator[WriteSession]:
        """Commits on a connection of its own what must be stored even if the request is refused and rolls back."""
        async with self.unit_of_work() as session:
            yield session

    async def close(self) -> None:
        await self.locks.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def _begin(self, first: str | None) -> AsyncIterator[AsyncSession]:
        async with _reachable(), self._sessions(info={"first": first}) as session, session.begin():
            with track_session(session):
                yield session


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """Turns a lost connection to our database into Unavailable."""
    try:
        yield
    except DBAPIError as error:
        if not _is_connection_lost(error):
            raise
        _log.warning("database.away", reason=type(error.orig).__name__)
        raise Unavailable from error


def _is_connection_lost(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = error.orig.sqlstate if isinstance(error.orig, psycopg.OperationalError) else ""
    return state is None or state.startswith(("08", "57P"))


async def check_database(database_url: Secret) -> None:
    """Raises StartError with one sentence if our database cannot be used."""
    try:
        dsn = driver_dsn(database_url)
    except ArgumentError:
        raise StartError("DATABASE_URL must look like postgresql://user:password@host:5432/name.") from None
    try:
        async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StartError(f"The database of DATABASE_URL cannot be used: {reason}") from None
    if version < MIN_SERVER_VERSION:
        raise StartError(f"The database of DATABASE_URL is PostgreSQL {version // 10000}; 15 or newer is needed.")
