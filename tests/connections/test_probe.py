"""Each answer of the probe, against the real thing that causes it."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from basewarden.connections import tls_check as greeting
from basewarden.connections.db_connections import explain_libpq_error
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.probe import ServerFacts, check_version, probe
from basewarden.connections.urls import parse_postgres_url
from basewarden.core.secret import Secret
from tests.fakes.hostile_postgres import run_hostile_postgres
from tests.fixtures.app import ProjectDatabase
from tests.fixtures.pgbouncer import run_pgbouncer
from tests.fixtures.ports import open_listener, reserve_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def read_peak_bytes() -> int:
    """The most that this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def look(url: str) -> ServerFacts:
    return await probe(parse_postgres_url(Secret(url)), allow_private=True)


async def fail(url: str) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        async with asyncio.timeout(30):
            await look(url)
    assert caught.value.hint
    return caught.value


async def reason_of(url: str) -> Reason:
    return (await fail(url)).reason


@asynccontextmanager
async def listen(serve: Serve) -> AsyncIterator[int]:
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    listener = open_listener()
    server = await asyncio.start_server(handle, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        for writer in writers:  # the server itself would wait for those that stay silent
            writer.close()


async def test_the_facts_of_an_ordinary_login(project: ProjectDatabase) -> None:
    facts = await look(project.dsn)
    assert facts.login_role == project.role
    assert not facts.is_superuser
    assert not facts.bypasses_rls
    assert not facts.is_read_only
    assert (facts.tables, facts.readable_tables, facts.writable_tables) == (1, 1, 1)
    assert facts.uses_tls is False
    assert 0 < facts.latency_ms < 1000
    assert [role.name for role in facts.roles] == [project.reader]
    assert ServerFacts.from_json(facts.as_json()) == facts


async def test_a_superuser_is_known_as_one(project: ProjectDatabase) -> None:
    facts = await look(project.admin_dsn)
    assert facts.is_superuser
    role = facts.find_role(project.reader)
    assert role is not None
    assert not role.is_superuser


async def test_a_read_only_database_is_known_as_one(project: ProjectDatabase) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        statement = "ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = on"
        await admin.execute(sql.SQL(statement).format(sql.Identifier(project.role), sql.Identifier(project.database)))
    assert (await look(project.dsn)).is_read_only


async def test_wrong_password(project: ProjectDatabase) -> None:
    error = await fail(project.dsn.replace("project-pa55", "wrong-pa55"))
    assert error.reason is Reason.WRONG_PASSWORD
    assert "wrong-pa55" not in str(error.body())


async def test_unknown_role_looks_like_a_wrong_password(project: ProjectDatabase) -> None:
    assert await reason_of(project.dsn.replace(project.role, "nobody_here")) is Reason.WRONG_PASSWORD


async def test_no_such_database(project: ProjectDatabase) -> None:
    assert await reason_of(project.dsn + "_not") is Reason.NO_SUCH_DATABASE


async def test_a_role_that_may_not_log_in(project: ProjectDatabase) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(project.role)))
    assert await reason_of(project.dsn) is Reason.NO_SUCH_ROLE


async def test_tls_that_the_server_does_not_offer(project: ProjectDatabase) -> None:
    assert await reason_of(project.dsn + "?sslmode=require") is Reason.TLS_REFUSED


async def test_no_free_connection(project: ProjectDatabase) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(sql.Identifier(project.database)))
    assert await reason_of(project.dsn) is Reason.TOO_MANY_CONNECTIONS


async def test_a_port_without_a_server_refuses() -> None:
    port = reserve_port()
    assert await reason_of(f"postgresql://u:p@127.0.0.1:{port}/d") is Reason.REFUSED


async def test_a_name_that_does_not_exist() -> None:
    assert await reason_of("postgresql://u:p@no-such-host.invalid/d") is Reason.UNRESOLVED


async def _answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await writer.drain()


async def _answer_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    await reader.read()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)


async def _stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("serve", [_answer_http, _answer_ssh, _hang_up, _stay_silent])
async def test_what_is_not_postgres_is_known_and_never_hangs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "_ANSWER_SECONDS", 0.5)
    async with listen(serve) as port:
        assert await reason_of(f"postgresql://u:p@127.0.0.1:{port}/d") is Reason.NOT_POSTGRES


async def _offer_plain_text_and_stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"N")
    await writer.drain()
    await reader.read()


async def test_a_server_that_falls_silent_later_times_out() -> None:
    async with listen(_offer_plain_text_and_stay_silent) as port:
        assert await reason_of(f"postgresql://u:p@127.0.0.1:{port}/d") is Reason.TIMED_OUT


@pytest.mark.parametrize(
    "mode",
    [
        "endless_rows",
        "many_rows",
        "huge_row",
        "endless_notices",
        "endless_settings",
        "settings_at_start",
        "huge_notice_at_start",
    ],
)
async def test_a_server_that_never_ends_is_left_at_once(mode: str) -> None:
    """With less than ten megabytes of it in memory."""
    async with run_hostile_postgres(mode) as hostile:
        before = read_peak_bytes()
        assert await reason_of(f"postgresql://u:p@127.0.0.1:{hostile.port}/d") is not Reason.TIMED_OUT
        assert read_peak_bytes() - before < 30_000_000


async def test_a_server_that_falls_silent_once_connected_takes_no_longer_than_promised() -> None:
    async with run_hostile_postgres("silent") as hostile:
        assert await reason_of(f"postgresql://u:p@127.0.0.1:{hostile.port}/d") is Reason.TIMED_OUT


async def test_private_addresses_are_refused_unless_allowed(project: ProjectDatabase) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await probe(parse_postgres_url(Secret(project.dsn)), allow_private=False)
    assert caught.value.reason is Reason.ADDRESS_REFUSED


def test_servers_before_13_are_refused() -> None:
    check_version(130000)
    with pytest.raises(ConnectionFailed) as caught:
        check_version(120022)
    assert caught.value.reason is Reason.VERSION_UNSUPPORTED


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "a", database "d", no encryption',
            Reason.TLS_REQUIRED,
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "a", database "d", SSL encryption',
            Reason.SERVER_REFUSED,
        ),
        ("FATAL:  Tenant or user not found", Reason.NO_SUCH_ROLE),
        ("FATAL:  the database system is starting up", Reason.NOT_READY),
        ("FATAL:  SSL required", Reason.TLS_REQUIRED),
        ("SSL error: certificate verify failed", Reason.CERTIFICATE_INVALID),
        ('server certificate for "a" does not match host name "b"', Reason.CERTIFICATE_INVALID),
        ("FATAL:  das Passwort ist falsch", Reason.SERVER_REFUSED),
    ],
)
def test_errors_of_other_servers_are_understood_too(said: str, reason: Reason) -> None:
    error = explain_libpq_error(f'connection to server at "192.0.2.1", port 5432 failed: {said}')
    assert error.reason is reason
    assert "192.0.2.1" not in str(error.body())


@pytest.mark.parametrize(
    ("mode", "size", "is_pooled"),
    [("transaction", 5, True), ("transaction", 1, True), ("session", 5, False), ("session", 1, False)],
)
async def test_a_pooler_is_detected_by_what_it_does(
    project: ProjectDatabase, data_dir: Path, mode: str, size: int, is_pooled: bool
) -> None:
    async with run_pgbouncer(project.dsn, data_dir.parent, mode, size=size) as url:
        facts = await look(url)
    assert (facts.login_role, facts.is_pooled) == (project.role, is_pooled)


async def test_a_pooler_without_transactions_is_refused(project: ProjectDatabase, data_dir: Path) -> None:
    async with run_pgbouncer(project.dsn, data_dir.parent, "statement") as url:
        assert await reason_of(url) is Reason.STATEMENT_POOLER
