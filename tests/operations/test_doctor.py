"""The doctor finds what is wrong, says what to do, and shows no secret."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic import command

from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.db.migrations.migrate import make_alembic_config
from basewarden.errors import StartError
from basewarden.journal.partitions import partition_bounds
from basewarden.operations.upkeep.doctor import Finding, Level, assess_clock, assess_disk, examine, report_start_error
from basewarden.settings import Settings
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import OwnWorkshop
from tests.fixtures.mail import Postbox
from tests.flows.test_commands import run_command

SHOP = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'tea')"


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url)
    yield database
    await database.close()


async def run_sql(settings: Settings, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(settings.database_url.reveal(), autocommit=True) as connection:
        await connection.execute(statement.encode())


async def find(settings: Settings, database: Database, subject: str, level: Level) -> Finding:
    """The one finding of this kind."""
    report = await examine(settings, database)
    found = [finding for finding in report.findings if finding.subject == subject and finding.level is level]
    assert len(found) == 1, report.list_lines()
    assert report.is_good == all(finding.level is not Level.FAIL for finding in report.findings)
    return found[0]


async def test_a_healthy_deployment_has_a_good_report(
    product: ServedProduct, connection_id: str, settings: Settings, database: Database
) -> None:
    report = await examine(settings, database)
    assert report.is_good
    by_subject = {finding.subject: finding for finding in report.findings if finding.level is Level.OK}
    assert sorted(by_subject) == ["clock", "database", "journal", "keys", "migrations", "queue", "settings", "writes"]
    assert by_subject["keys"].text.startswith("all 1 stored secrets can be decrypted")
    assert "DATABASE_URL" in by_subject["settings"].text
    said = json.dumps(report.body()) + "\n".join(report.list_lines())
    for secret in (settings.database_url, settings.secret, settings.encryption_key):
        assert secret.reveal() not in said


async def test_an_older_schema_is_a_failure(settings: Settings, database: Database) -> None:
    await asyncio.to_thread(command.downgrade, make_alembic_config(settings.database_url), "0006")
    finding = await find(settings, database, "migrations", Level.FAIL)
    assert "the database is at 0006" in finding.text
    assert "basewarden migrate" in finding.advice


async def test_an_empty_database_is_reported_and_every_check_is_made(settings: Settings, database: Database) -> None:
    await asyncio.to_thread(command.downgrade, make_alembic_config(settings.database_url), "base")
    report = await examine(settings, database)
    failed = {finding.subject: finding.text for finding in report.findings if finding.level is Level.FAIL}
    assert not report.is_good
    assert failed["migrations"].startswith("the database is at none")
    assert failed["keys"] == "it cannot be checked: ProgrammingError"
    assert {"queue", "writes", "journal"} <= failed.keys()


async def test_a_lost_key_is_a_failure(connection_id: str, settings: Settings, database: Database) -> None:
    other = Secret(base64.b64encode(os.urandom(32)).decode())
    lost = settings.model_copy(update={"encryption_key": other})
    finding = await find(lost, database, "keys", Level.FAIL)
    assert "not 1 of connections.sealed_postgres_url" in finding.text
    assert "BASEWARDEN_ENCRYPTION_KEY_OLD" in finding.advice
    rotating = lost.model_copy(update={"encryption_key_old": settings.encryption_key})
    assert (await find(rotating, database, "keys", Level.OK)).text.startswith("all 1 stored secrets can be decrypted")
    assert "rotate-key" in (await find(rotating, database, "settings", Level.WARN)).advice


async def test_a_changed_value_is_a_failure(connection_id: str, settings: Settings, database: Database) -> None:
    await run_sql(
        settings, "UPDATE connections SET sealed_postgres_url = set_byte(sealed_postgres_url, 40, 0) || '\\x00'"
    )
    assert "not 1 of connections" in (await find(settings, database, "keys", Level.FAIL)).text


async def test_a_month_without_a_table_is_a_failure(settings: Settings, database: Database) -> None:
    this_month = partition_bounds(datetime.now(UTC).date())[0][0]
    await run_sql(settings, f"DROP TABLE {this_month}")
    finding = await find(settings, database, "journal", Level.FAIL)
    assert "will fail" in finding.text


async def test_jobs_that_wait_too_long_are_a_warning(settings: Settings, database: Database) -> None:
    await run_sql(
        settings,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at)"
        " VALUES ('q', 'q', now() - interval '30 minutes')",
    )
    finding = await find(settings, database, "queue", Level.WARN)
    assert "Jobs waiting: 1, the oldest for 30 minutes" in finding.text
    await run_sql(settings, "UPDATE procrastinate_jobs SET status = 'doing'")
    await run_sql(settings, "UPDATE procrastinate_jobs SET status = 'failed'")
    assert "last 30 days: 1" in (await find(settings, database, "queue", Level.WARN)).text


async def test_writes_that_stay_pending_are_a_warning(
    own_workshop: OwnWorkshop, settings: Settings, database: Database
) -> None:
    workshop = await own_workshop.open()
    bench = await workshop.bench(SHOP)
    await (await bench.agent()).write("PATCH", "/items?id=eq.1", {"name": "coffee"})
    assert (await find(settings, database, "writes", Level.OK)).text == "none are pending."
    await run_sql(
        settings, "UPDATE journal_writes SET state = 'pending', at = now() - interval '1 hour', xid = 1 << 40"
    )
    assert "1 writes to 1 connections" in (await find(settings, database, "writes", Level.WARN)).text


async def test_a_mail_server_is_tried(settings: Settings, database: Database, postbox: Postbox) -> None:
    assert "BASEWARDEN" not in (await find(settings, database, "mail", Level.WARN)).text
    with_mail = settings.model_copy(update={"smtp_url": Secret(postbox.url), "email_from": "a@example.com"})
    assert "answers" in (await find(with_mail, database, "mail", Level.OK)).text
    away = with_mail.model_copy(update={"smtp_url": Secret("smtp://127.0.0.1:9?starttls=0")})
    assert "cannot be used" in (await find(away, database, "mail", Level.FAIL)).text
    bad = with_mail.model_copy(update={"email_from": None})
    assert "EMAIL_FROM" in (await find(bad, database, "mail", Level.FAIL)).text


async def test_a_public_deployment_is_looked_at_more_closely(settings: Settings, database: Database) -> None:
    public = settings.model_copy(update={"origin": "http://app.example.com"})
    report = await examine(public, database)
    doubts = [finding.text for finding in report.findings if finding.subject == "settings"][1:]
    assert [text.split()[0] for text in doubts] == ["the", "connections", "no", "unexpected"]


@pytest.mark.parametrize(("seconds", "level"), [(0.5, "ok"), (-1.9, "ok"), (3, "warn"), (-29, "warn"), (-31, "fail")])
def test_clocks_apart(seconds: float, level: str) -> None:
    assert assess_clock(timedelta(seconds=seconds)).level == level


@pytest.mark.parametrize(("free", "level"), [(6, "ok"), (4, "warn"), (0.4, "fail")])
def test_a_full_disk(free: float, level: str) -> None:
    assert assess_disk(int(free * 1024**3)).level == level


def test_what_does_not_start_is_one_finding() -> None:
    report = report_start_error(StartError("DATABASE_URL is required."))
    assert not report.is_good
    assert report.list_lines() == ["fail  start: DATABASE_URL is required. Nothing else can be checked until then."]


async def test_the_command_fails_when_a_check_does(product: ServedProduct, connection_id: str) -> None:
    """The command's key is another one than the product's."""
    code, out, err = await run_command(product, "doctor")
    assert code == 1, err
    assert "fail  keys:" in out
    code, out, _ = await run_command(product, "doctor", "--json")
    assert code == 1
    report = json.loads(out)
    assert report["ok"] is False
    assert {finding["level"] for finding in report["findings"]} >= {"ok", "fail"}
