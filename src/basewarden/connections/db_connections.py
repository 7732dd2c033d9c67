"""Opens database connections to a project's address: pinned, bounded, and without reading local files."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from basewarden.connections.addresses import pin_host
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.urls import PostgresAddress
from pgrest import DbConnection, Meter

CONNECT_SECONDS = 5
_MAX_QUOTE = 300
_MAX_BYTES = 4_000_000
"""The limit for all results of one probe: two hundred roles and a few numbers."""

# libpq has no SQLSTATE for a failed connection, only English messages of its own and of servers.
_SENTENCES: Final = (
    (
        re.compile(r"password authentication failed|SASL authentication failed|Wrong password"),
        Reason.WRONG_PASSWORD,
    ),
    (re.compile(r"database \".*\" does not exist|no such database"), Reason.NO_SUCH_DATABASE),
    (
        re.compile(r"role \".*\" does not exist|is not permitted to log in|Tenant or user not found|no such user"),
        Reason.NO_SUCH_ROLE,
    ),
    (
        re.compile(r"no pg_hba\.conf entry .*(no encryption|SSL off)|SSL (connection )?is required|SSL required"),
        Reason.TLS_REQUIRED,
    ),
    (re.compile(r"server does not support SSL|channel binding required"), Reason.TLS_REFUSED),
    (re.compile(r"certificate|SSL error"), Reason.CERTIFICATE_INVALID),
    (
        re.compile(r"too many (clients|connections)|remaining connection slots|max_client_conn"),
        Reason.TOO_MANY_CONNECTIONS,
    ),
    (re.compile(r"the database system is"), Reason.NOT_READY),
    (re.compile(r"timeout expired|timed out"), Reason.TIMED_OUT),
    (re.compile(r"Connection refused"), Reason.REFUSED),
)


async def make_dsn(address: PostgresAddress, *, allow_private: bool) -> str:
    """Returns libpq's string for one connection, with the host resolved, checked and pinned. Contains the password."""
    return make_pinned_dsn(address, await pin_host(address.host, address.port, allow_private=allow_private))


def make_pinned_dsn(address: PostgresAddress, addresses: tuple[str, ...]) -> str:
    """Sets every option that libpq would otherwise read from the environment or the home folder."""
    return make_conninfo(
        "",
        host=",".join(address.host for _ in addresses),
        hostaddr=",".join(addresses),
        port=address.port,
        user=address.user,
        password=address.password.reveal(),
        dbname=address.database,
        sslmode=address.sslmode,
        sslrootcert="system" if address.sslmode == "verify-full" else "",
        sslcertmode="disable",
        gssencmode="disable",
        channel_binding=address.channel_binding,
        passfile="/dev/null",
        connect_timeout=CONNECT_SECONDS,
        application_name="basewarden",
    )


@asynccontextmanager
async def open_db_connection(dsn: str) -> AsyncIterator[DbConnection]:
    """Opens one guarded connection without prepared statements, or raises ConnectionFailed."""
    try:
        connection = await DbConnection.connect(dsn, timeout=CONNECT_SECONDS, prepare=False, guarded=True)
    except psycopg.Error as error:
        raise explain_libpq_error(str(error)) from None
    connection.meter = Meter(_MAX_BYTES)
    try:
        yield connection
    finally:
        await connection.close()


def explain_libpq_error(message: str) -> ConnectionFailed:
    text = " ".join(message.split())
    for pattern, reason in _SENTENCES:
        if pattern.search(text):
            return ConnectionFailed(reason)
    return ConnectionFailed(Reason.SERVER_REFUSED, server=_quote_server(text))


def _quote_server(text: str) -> str | None:
    """Returns the server's own message; libpq's text around it contains addresses."""
    _, found, message = text.partition("FATAL: ")
    return message.strip()[:_MAX_QUOTE] if found else None
