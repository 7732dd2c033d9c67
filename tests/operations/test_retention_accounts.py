"""Retention of accounts, emails and jobs: what is past its time goes, everything that is still good stays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.accounts import list_account_pruners
from basewarden.audit import verify_chain
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.jobs import Jobs
from basewarden.mail import EMAIL_PRUNERS
from basewarden.operations.retention import Retention
from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.flows.records import Records

MAIL = {"smtp_url": Secret("smtp://127.0.0.1:1"), "email_from": "basewarden@example.com"}
ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
async def records(app_database: str) -> AsyncIterator[Records]:
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as connection:
        yield Records(connection)


@pytest.fixture
async def mailing(serve: Serve) -> ServedProduct:
    """Emails are configured; that none arrives does not matter here."""
    return await serve(MAIL)


async def prune(product: ServedProduct) -> dict[str, int]:
    """Only what went: every table is named, also those that lost nothing."""
    return {table: rows for table, rows in (await product.registry.get(Retention).run()).items() if rows}


async def make_user(records: Records, email: str = ADA, days: float = 100) -> UUID:
    user_id = uuid4()
    await records.run(
        "INSERT INTO users (id, email, email_key, created_at) VALUES (%s, %s, %s, now() - make_interval(secs => %s))",
        *(user_id, email, email, days * 86400),
    )
    return user_id


async def list_emails(records: Records) -> set[str]:
    return {row["email"] for row in await records.rows("SELECT email FROM users")}


async def make_signin(records: Records, user_id: UUID, *, seen: float, ended: float | None, made: float) -> UUID:
    """Days ago."""
    signin_id = uuid4()
    await records.run(
        "INSERT INTO signin_sessions (id, user_id, token_hash, last_seen_at, ended_at, created_at)"
        " SELECT %s, %s, %s, now() - make_interval(secs => 86400 * %s), now() - make_interval(secs => 86400 * %s),"
        " now() - make_interval(secs => 86400 * %s)",
        *(signin_id, user_id, signin_id.bytes, seen, ended, made),
    )
    return signin_id


async def list_ids(records: Records, table: str) -> set[Any]:
    return {row["id"] for row in await records.rows(f"SELECT id FROM {table}")}


async def test_signin_sessions_that_ended_long_ago_go(product: ServedProduct, records: Records) -> None:
    user = await make_user(records)
    for seen, ended, made in ((200, 91, 200), (91, None, 200), (91, None, 91)):
        await make_signin(records, user, seen=seen, ended=ended, made=made)
    kept = {
        await make_signin(records, user, seen=seen, ended=ended, made=made)
        for seen, ended, made in ((200, 89, 200), (89, None, 95), (1, None, 100), (0, None, 0))
    }
    assert await prune(product) == {"signin_sessions": 3}
    assert await list_ids(records, "signin_sessions") == kept
    assert await prune(product) == {}


async def test_no_window_is_so_short_that_a_person_is_signed_out(product: ServedProduct, records: Records) -> None:
    user = await make_user(records)
    alive = await make_signin(records, user, seen=5, ended=None, made=20)
    await make_signin(records, user, seen=5, ended=2, made=20)
    database = product.registry.get(Database)
    one = list_account_pruners(keep_signins=timedelta(days=1))[0]
    assert await one.prune(database, one.keep, 100) == 1
    assert await list_ids(records, "signin_sessions") == {alive}


async def test_links_stay_a_month_longer_than_they_hold(product: ServedProduct, records: Records) -> None:
    user = await make_user(records)
    kept = set()
    for days in (31, 40, 29, 1, -1):
        token_id = uuid4()
        await records.run(
            "INSERT INTO account_tokens (id, user_id, purpose, token_hash, email, expires_at)"
            " VALUES (%s, %s, 'reset', %s, '', now() - make_interval(days => %s))",
            *(token_id, user, token_id.bytes, days),
        )
        kept |= {token_id} if days < 30 else set()
    assert await prune(product) == {"account_tokens": 2}
    assert await list_ids(records, "account_tokens") == kept


async def test_challenges_states_and_counters_go_when_they_are_over(product: ServedProduct, records: Records) -> None:
    for minutes in (5, -5):
        key = uuid4().bytes
        at = f"now() - interval '{minutes} minutes'"
        await records.run(
            f"INSERT INTO passkey_challenges (id, purpose, challenge, expires_at) VALUES (%s, 'signin', %s, {at})",
            *(uuid4(), key),
        )
        await records.run(
            "INSERT INTO oauth_states (state_hash, browser_hash, purpose, code_verifier, back_to, expires_at)"
            f" VALUES (%s, %s, 'signin', '', '/', {at})",
            *(key, key),
        )
    for hours in (25, 23):
        await records.run(
            f"INSERT INTO attempt_counters VALUES ('a.scope', %s, now() - interval '{hours} hours', 3)", uuid4().bytes
        )
    assert await prune(product) == {"passkey_challenges": 1, "oauth_states": 1, "attempt_counters": 1}
    for table in ("passkey_challenges", "oauth_states", "attempt_counters"):
        assert await records.value(f"SELECT count(*) FROM {table}") == 1, table


async def test_a_counter_in_use_is_left(product: ServedProduct, records: Records) -> None:
    await records.run("INSERT INTO attempt_counters VALUES ('a.scope', '\\x00', now() - interval '2 days', 3)")
    async with records.connection.transaction():
        await records.rows("SELECT * FROM attempt_counters FOR UPDATE")
        async with asyncio.timeout(5):
            assert await prune(product) == {}
    assert await prune(product) == {"attempt_counters": 1}


async def test_checkouts_are_pruned_once_they_cannot_be_continued(product: ServedProduct, records: Records) -> None:
    user = await make_user(records)
    for session, days in (("old", 8), ("young", 6)):
        await records.run(
            "INSERT INTO billing_checkouts (session_id, user_id, product_id, mode, url, created_at)"
            f" VALUES (%s, %s, 'p', 'test', '', now() - interval '{days} days')",
            *(session, user),
        )
    assert await prune(product) == {"billing_checkouts": 1}
    assert await records.value("SELECT session_id FROM billing_checkouts") == "young"


async def test_emails_that_ended_go_and_those_that_wait_stay(app_database: str, records: Records) -> None:
    """By their pruner alone: a served product tidies its emails at every quarter of an hour too."""
    for state, days in (("sent", 91), ("failed", 91), ("expired", 91), ("queued", 91), ("sent", 89)):
        await records.run(
            "INSERT INTO letters (id, kind, address, state, created_at)"
            f" VALUES (%s, 'verify', %s, %s, now() - interval '{days} days')",
            *(uuid4(), ADA, state),
        )
    database = Database(Secret(app_database))
    assert await Retention(database, Jobs(database), EMAIL_PRUNERS).run() == {"letters": 3}
    await database.close()
    assert await records.value("SELECT count(*) FROM letters") == 2


async def test_jobs_that_failed_long_ago_go(product: ServedProduct, records: Records) -> None:
    for status, days in (("failed", 31), ("failed", 29), ("todo", 31)):
        job = await records.value(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at)"
            " VALUES ('nobody', 'nobody.does', now() + interval '1 day') RETURNING id"
        )
        change = "UPDATE procrastinate_jobs SET status = CAST(%s AS procrastinate_job_status) WHERE id = %s"
        await records.run(change, status, job)
        await records.run(f"UPDATE procrastinate_events SET at = now() - interval '{days} days' WHERE job_id = %s", job)
    assert await prune(product) == {"procrastinate_jobs": 1}
    left = await records.rows("SELECT status::text FROM procrastinate_jobs WHERE queue_name = 'nobody' ORDER BY 1")
    assert [row["status"] for row in left] == ["failed", "todo"]


async def test_abandoned_sign_ups_are_pruned(mailing: ServedProduct, records: Records) -> None:
    await make_user(records, ADA, days=15)
    await make_user(records, BOB, days=13)
    seen = await make_user(records, EVE, days=40)
    await make_signin(records, seen, seen=13, ended=None, made=39)
    assert await prune(mailing) == {"users": 1}
    assert await list_emails(records) == {BOB, EVE}
    await records.run("UPDATE signin_sessions SET last_seen_at = now() - interval '15 days'")
    assert await prune(mailing) == {"users": 1}
    assert await list_emails(records) == {BOB}
    assert await records.value("SELECT count(*) FROM audit_events WHERE kind = 'account_deleted'") == 2
    verdict = await verify_chain(mailing.registry.get(Database), lambda _: None)
    assert verdict.is_good


SIGNS_OF_LIFE = {
    "verified": "UPDATE users SET email_verified_at = created_at WHERE id = %s",
    "to be deleted": "UPDATE users SET deletion_due_at = now() + interval '3 days' WHERE id = %s",
    "a passkey": (
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports, is_backed_up)"
        " SELECT gen_random_uuid(), id, '\\x00', '\\x00', 0, '', '{}', false FROM users WHERE id = %s"
    ),
    "a sign-in elsewhere": (
        "INSERT INTO oauth_accounts (provider, subject, user_id, login)"
        " SELECT 'github', '1', id, 'ada' FROM users WHERE id = %s"
    ),
    "a checkout": (
        "INSERT INTO billing_checkouts (session_id, user_id, product_id, mode, url)"
        " SELECT 'c', id, 'p', 'test', '' FROM users WHERE id = %s"
    ),
    "a granted plan": (
        "INSERT INTO billing_grants (id, user_id, plan, until)"
        " SELECT gen_random_uuid(), id, 'team', now() + interval '1 day' FROM users WHERE id = %s"
    ),
    "a member": (
        "WITH made AS (INSERT INTO connections (id, name, environment, sealed_postgres_url, facts)"
        " VALUES (gen_random_uuid(), 'Shop', 'other', '\\x00', '{}') RETURNING id)"
        " INSERT INTO connection_members (connection_id, user_id, role) SELECT id, %s, 'viewer' FROM made"
    ),
}


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE.values(), ids=SIGNS_OF_LIFE)
async def test_a_sign_of_life_keeps_an_account(mailing: ServedProduct, records: Records, sign: str) -> None:
    await records.run(sign, await make_user(records))
    await make_user(records, BOB)
    assert await prune(mailing) == {"users": 1}
    assert await list_emails(records) == {ADA}


async def test_without_emails_unverified_people_are_kept(product: ServedProduct, records: Records) -> None:
    await make_user(records)
    assert await prune(product) == {}
    assert await list_emails(records) == {ADA}


async def test_who_signs_in_at_that_very_moment_stays(mailing: ServedProduct, records: Records) -> None:
    """The sign-in holds the person's row, as it does while it makes its session."""
    user = await make_user(records)
    async with records.connection.transaction():
        await make_signin(records, user, seen=0, ended=None, made=0)
        assert await prune(mailing) == {}
    assert await prune(mailing) == {}
    assert await list_emails(records) == {ADA}


async def test_who_was_pruned_can_sign_up_again(mailing: ServedProduct, records: Records) -> None:
    await mailing.sign_up(ADA)
    await records.run("UPDATE users SET created_at = now() - interval '15 days'")
    await records.run("UPDATE signin_sessions SET last_seen_at = now() - interval '15 days'")
    assert (await prune(mailing))["users"] == 1
    client = await mailing.client()
    account = {"email": ADA, "password": PASSWORD}
    assert (await client.post("/api/auth/signin", json=account)).status_code == 401
    assert (await client.post("/api/auth/signup", json=account)).status_code == 201
    assert (await client.post("/api/auth/signin", json=account)).status_code == 200


async def test_whose_day_of_deletion_has_come_goes(product: ServedProduct, records: Records) -> None:
    for email, days in ((ADA, 1), (BOB, -1)):
        user = await make_user(records, email)
        await records.run(
            f"UPDATE users SET deletion_due_at = now() - make_interval(days => {days}) WHERE id = %s", user
        )
    assert await prune(product) == {"users": 1}
    assert await list_emails(records) == {BOB}


async def test_small_batches_take_everything(app_database: str, records: Records) -> None:
    user = await make_user(records)
    for _ in range(25):
        await make_signin(records, user, seen=100, ended=None, made=100)
    database = Database(Secret(app_database))
    pruners = list_account_pruners(keep_signins=timedelta(days=90))
    removed = await Retention(database, Jobs(database), pruners, batch=4).run()
    assert {table: count for table, count in removed.items() if count} == {"signin_sessions": 25}
    await database.close()
