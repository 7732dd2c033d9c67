"""Trying a database out: can it be used, as whom, with which rights, how fast."""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from basewarden.connections.addresses import is_local_host, pin_host
from basewarden.connections.db_connections import explain_libpq_error, make_pinned_dsn, open_db_connection
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.tls_check import check_tls_support
from basewarden.connections.urls import PostgresAddress
from basewarden.db import note_waiting
from pgrest import DatabaseError, DbConnection, PgrestError, Rows, Statement, set_settings

PROBE_SECONDS = 8.0
MIN_SERVER_VERSION = 130000
_SWITCH_SECONDS = 2.0
_TOO_LARGE = 413
_MAX_ROWS, _MAX_COLUMNS = 200, 20
_TRUE = "t"
_FLAGS = ("is_superuser", "bypasses_rls", "can_create_roles", "is_read_only")
_COUNTS = ("tables", "readable_tables", "writable_tables")
_SAFE_SEARCH_PATH = set_settings({"search_path": "pg_catalog, pg_temp"})
_BACKEND = "SELECT pg_backend_pid() AS backend"

_FACTS = """
SELECT current_setting('server_version') AS server_version,
       current_setting('server_version_num')::int AS server_version_number,
       session_user::text AS login_role,
       r.rolsuper AS is_superuser, r.rolbypassrls AS bypasses_rls, r.rolcreaterole AS can_create_roles,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS is_read_only,
       (SELECT count(*) FROM tables)::int AS tables,
       (SELECT count(*) FROM tables WHERE has_table_privilege(oid, 'SELECT'))::int AS readable_tables,
       (SELECT count(*) FROM tables
         WHERE has_table_privilege(oid, 'INSERT') OR has_table_privilege(oid, 'UPDATE')
            OR has_table_privilege(oid, 'DELETE'))::int AS writable_tables,
       pg_backend_pid() AS backend
  FROM pg_roles r WHERE r.rolname = session_user
"""
_TABLES = """
WITH tables AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
     AND has_schema_privilege(n.oid, 'USAGE'))
"""
_ROLES = """
SELECT rolname::text AS name, rolsuper AS is_superuser, rolbypassrls AS bypasses_rls
  FROM pg_roles
 WHERE rolname <> session_user AND rolname !~ '^pg_' AND pg_has_role(session_user, oid, $1)
 ORDER BY rolname LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    """A role that the login may switch to."""

    name: str
    is_superuser: bool
    bypasses_rls: bool


@dataclass(frozen=True, slots=True)
class ServerFacts:
    server_version: str
    login_role: str
    is_superuser: bool
    bypasses_rls: bool
    can_create_roles: bool
    is_read_only: bool
    tables: int
    readable_tables: int
    writable_tables: int
    uses_tls: bool
    latency_ms: float
    roles: tuple[DatabaseRole, ...]
    is_pooled: bool = False
    """Each transaction may run in another server session."""
    is_local: bool = False
    """The server is on the machine that Basewarden runs on."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ServerFacts":
        return cls(**{**stored, "roles": tuple(DatabaseRole(**role) for role in stored["roles"])})

    def find_role(self, name: str) -> DatabaseRole | None:
        if name == self.login_role:
            return DatabaseRole(name, self.is_superuser, self.bypasses_rls)
        return next((role for role in self.roles if role.name == name), None)


async def probe(address: PostgresAddress, *, allow_private: bool) -> ServerFacts:
    """Returns the facts of a usable database, or raises ConnectionFailed; takes at most 8 seconds."""
    note_waiting("a database to probe")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _probe(address, allow_private=allow_private)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT) from None
    except DatabaseError as error:
        raise ConnectionFailed(Reason.SERVER_REFUSED, server=error.message[:300]) from None
    except PgrestError as error:
        if error.status == _TOO_LARGE:
            raise ConnectionFailed(Reason.NOT_POSTGRES) from None
        raise explain_libpq_error(str(error.details)) from None
    except (KeyError, ValueError):  # the server sent unexpected columns or values
        raise ConnectionFailed(Reason.NOT_POSTGRES) from None


async def _probe(address: PostgresAddress, *, allow_private: bool) -> ServerFacts:
    addresses = await pin_host(address.host, address.port, allow_private=allow_private)
    offers_tls = await check_tls_support(addresses, address.port)
    if address.sslmode in ("require", "verify-full") and not offers_tls:
        raise ConnectionFailed(Reason.TLS_REFUSED)
    dsn = make_pinned_dsn(address, addresses)
    async with open_db_connection(dsn) as connection:
        check_version(connection.server_version)
        (facts,) = await _query(connection, _TABLES + _FACTS)
        numbers: dict[str, Any] = {name: facts[name] == _TRUE for name in _FLAGS}
        numbers |= {name: int(facts[name]) for name in _COUNTS}
        latency_ms = await _measure_latency(connection)
        roles = await _list_roles(connection, int(facts["server_version_number"]))
        pooling = await _find_pooling(connection, facts["backend"], dsn)  # last, because it may break the connection
        if pooling == "statement":
            raise ConnectionFailed(Reason.STATEMENT_POOLER)
        return ServerFacts(
            server_version=facts["server_version"],
            login_role=facts["login_role"],
            **numbers,
            uses_tls=connection.is_encrypted,
            latency_ms=latency_ms,
            roles=roles,
            is_pooled=address.is_pooled or pooling == "transaction",
            is_local=is_local_host(address.host),
        )


def check_version(number: int) -> None:
    if number < MIN_SERVER_VERSION:
        raise ConnectionFailed(Reason.VERSION_UNSUPPORTED)


async def _find_pooling(
    connection: DbConnection, backend: str, dsn: str
) -> Literal["session", "transaction", "statement"]:
    """Detects a pooler by its behaviour: whether our db session keeps its server process.

    A server reports the same process id at the start and in a query. A pooler invents one at the start; then a
    transaction on a second connection shows whether that was given the process that was ours.
    """
    if str(connection.backend_pid) == backend:
        return "session"
    others = None
    try:
        async with asyncio.timeout(_SWITCH_SECONDS), open_db_connection(dsn) as other:
            await other.run([Statement("BEGIN")])
            (others,) = await _query(other, _BACKEND)
            (ours,) = await _query(connection, _BACKEND)
    except (DatabaseError, PgrestError):
        return "statement"  # it refuses transactions
    except TimeoutError:
        return (
            "session" if others is None else "transaction"
        )  # one process for both: our query waits for the other's transaction
    return "transaction" if others["backend"] == backend or ours["backend"] != backend else "session"


async def _measure_latency(connection: DbConnection) -> float:
    started = time.perf_counter()
    await connection.run([Statement("SELECT 1")])
    return round((time.perf_counter() - started) * 1000, 1)


async def _list_roles(connection: DbConnection, server_version: int) -> tuple[DatabaseRole, ...]:
    """Lists the roles that the login may switch to, which since PostgreSQL 16 is a privilege of its own."""
    privilege = b"SET" if server_version >= 160000 else b"MEMBER"
    rows = await _query(connection, _ROLES, privilege)
    return tuple(DatabaseRole(row["name"], row["is_superuser"] == _TRUE, row["bypasses_rls"] == _TRUE) for row in rows)


async def _query(connection: DbConnection, query: str, *parameters: bytes) -> list[dict[str, str]]:
    _, rows = await connection.run([_SAFE_SEARCH_PATH, Statement(query, parameters)])
    if rows.count > _MAX_ROWS or rows.has_column(_MAX_COLUMNS):
        raise ConnectionFailed(Reason.NOT_POSTGRES)  # not the expected result, and too large to read
    return _read_rows(rows)


def _read_rows(rows: Rows) -> list[dict[str, str]]:
    names = rows.columns
    return [
        {name: (value or b"").decode("utf-8", "replace") for name, value in zip(names, row, strict=True)}
        for row in rows.rows
    ]
