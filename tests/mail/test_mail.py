"""Emails through a real mail server: posted with the change, sent once, erased, tried again, given up."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import text

from basewarden.core.ids import make_id
from basewarden.core.logs import configure_logs
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.db.holding import FAULTS
from basewarden.errors import Invalid
from basewarden.jobs import Jobs, JobTiming, RetryPolicy, count_waiting, list_failed
from basewarden.mail import (
    EMAIL_PRUNERS,
    Email,
    EmailRecord,
    EmailState,
    Mail,
    delete_person_emails,
    describe_emails,
    find_last_email,
    list_emails,
)
from basewarden.mail import smtp as smtp_module
from basewarden.mail.queries import claim_email
from basewarden.settings import Settings
from basewarden.vault import Vault, make_keyring
from tests.fixtures.mail import EMAIL_FROM, WAIT_SECONDS, Postbox
from tests.fixtures.waiting import wait_until

QUICK = JobTiming(poll_seconds=0.05, heartbeat_seconds=0.1, silent_seconds=1.0, stop_seconds=0.5)
SOON = RetryPolicy(attempts=3, first=timedelta(seconds=0.05), factor=1)
ADDRESS = "ada@example.com"
LINK = "https://app.example.com/reset/canary-in-the-letter"


@pytest.fixture
async def database(app_database: str) -> AsyncIterator[Database]:
    database = Database(Secret(app_database))
    yield database
    await database.close()


Open = Callable[..., Awaitable[Mail]]


@pytest.fixture
async def open_mail(settings: Settings, database: Database, postbox: Postbox) -> AsyncIterator[Open]:
    """What a process has of mail and jobs; `working=False` leaves what is posted where it is."""
    async with AsyncExitStack() as stack:

        async def start(*, working: bool = True, retry: RetryPolicy = SOON, **changes: Any) -> Mail:
            own = settings.model_copy(update={**postbox.settings(), **changes})
            jobs = Jobs(database, QUICK)
            mail = Mail(own, database, Vault(make_keyring(own)), jobs, retry=retry)
            if working:
                await jobs.start()
                stack.push_async_callback(jobs.stop)
            return mail

        yield start


def make_email(**changes: Any) -> Email:
    return Email(
        **{
            "kind": "reset",
            "address": ADDRESS,
            "subject": "Choose a new password",
            "text": f"Hello Zoë,\n\nopen {LINK}.\n",
            "html": f'<p>Hello Zoë, <a href="{LINK}">open it</a>.</p>',
            **changes,
        }
    )


async def post(database: Database, mail: Mail, email: Email | None = None) -> UUID | None:
    async with database.unit_of_work() as unit:
        return await mail.enqueue(unit, email or make_email())


async def wait_for_state(database: Database, state: EmailState) -> EmailRecord:
    async def find() -> list[EmailRecord]:
        async with database.read_only() as session:
            return list(await list_emails(session, state=state))

    return (await wait_until(find, f"an email that is {state}", seconds=WAIT_SECONDS))[0]


async def wait_for_error(database: Database, *, attempts: int, error: str) -> None:
    """The attempt is counted before it is made, and its error is stored after it."""
    waiting = await wait_until(
        lambda: wait_for_state(database, EmailState.QUEUED),
        f"attempt {attempts} to fail with {error}",
        matches=lambda record: record.attempts >= attempts and record.last_error == error,
        seconds=WAIT_SECONDS,
    )
    assert waiting.attempts == attempts


async def make_due(database: Database) -> None:
    """Ends the wait of a job that will be tried again, once the failed attempt has put it off."""
    query = text(
        "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo' AND scheduled_at > now() RETURNING id"
    )

    async def hasten() -> Sequence[Any]:
        async with database.unit_of_work() as unit:
            return (await unit.execute(query)).all()

    await wait_until(hasten, "a job that waits for its next attempt", seconds=WAIT_SECONDS)


async def read_stored(database: Database) -> list[dict[str, Any]]:
    async with database.read_only() as session:
        return [dict(row) for row in (await session.execute(text("SELECT * FROM letters"))).mappings()]


async def count_jobs(database: Database) -> int:
    async with database.read_only() as session:
        return int(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


async def run_again(database: Database, email_id: UUID | None) -> None:
    """As when a process dies after the server's yes and before anybody heard of it, or a job is freed too early."""
    query = text(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " VALUES ('mail.send', 'mail.send', jsonb_build_object('letter_id', CAST(:id AS text)))"
    )
    async with database.unit_of_work() as unit:
        await unit.execute(query, {"id": str(email_id)})


async def wait_until_idle(database: Database) -> None:
    await wait_until(
        lambda: count_jobs(database), "the jobs to be gone", matches=lambda found: not found, seconds=WAIT_SECONDS
    )


async def test_a_posted_email_arrives_whole_and_is_erased(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    user = uuid4()
    mail = await open_mail()
    email_id = await post(database, mail, make_email(user_id=user))
    (received,) = await postbox.wait(to=ADDRESS)
    assert (received.sender, received.subject) == ("hello@basewarden.example", "Choose a new password")
    assert received.text == f"Hello Zoë,\n\nopen {LINK}.\n"
    assert "Hello Zoë" in received.html
    assert received.links == [LINK]
    assert str(received.message["From"]) == EMAIL_FROM
    assert received.message["To"] == ADDRESS
    assert received.message["Message-ID"] == f"<{email_id}@basewarden.example>"
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.message["Date"].datetime.tzinfo is not None
    record = await wait_for_state(database, EmailState.SENT)
    assert (record.id, record.attempts, record.last_error) == (email_id, 1, None)
    assert record.sent_at is not None
    assert (await read_stored(database))[0]["sealed_content"] is None
    async with database.read_only() as session:
        assert await find_last_email(session, user, "reset") == record
        assert await find_last_email(session, user, "verify") is None
        assert await find_last_email(session, uuid4(), "reset") is None


async def test_a_waiting_email_is_sealed(open_mail: Open, database: Database) -> None:
    mail = await open_mail(working=False)
    await post(database, mail)
    (stored,) = await read_stored(database)
    assert b"canary" not in stored["sealed_content"]
    async with database.read_only() as session:
        arguments = await session.scalar(text("SELECT args::text FROM procrastinate_jobs"))
    assert json.loads(str(arguments)) == {"letter_id": str(stored["id"])}


async def test_a_rolled_back_email_is_never_sent(open_mail: Open, database: Database, postbox: Postbox) -> None:
    mail = await open_mail()

    async def post_and_fail() -> None:
        async with database.unit_of_work() as unit:
            await mail.enqueue(unit, make_email(address="nobody@example.com"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await post_and_fail()
    await post(database, mail)
    await postbox.wait()
    await wait_until_idle(database)
    assert [received.to for received in postbox.received] == [ADDRESS]


async def test_without_a_mail_server_nothing_is_stored(open_mail: Open, database: Database) -> None:
    mail = await open_mail(working=False, smtp_url=None, email_from=None)
    assert not mail.is_configured
    assert await post(database, mail) is None
    assert await read_stored(database) == []
    assert await count_jobs(database) == 0


@pytest.mark.parametrize(
    ("failures", "at", "error"),
    [
        (["451 4.3.0 canary later", "421 4.3.2 canary later"], "DATA", "SMTPDataError 421"),
        (["450 4.2.0 canary greylisted"] * 2, "RCPT", "SMTPRecipientsRefused 450"),
        (["drop", "drop"], "DATA", "SMTPServerDisconnected"),
    ],
)
async def test_what_fails_for_now_is_tried_again(
    open_mail: Open, database: Database, postbox: Postbox, failures: list[str], at: Any, error: str
) -> None:
    postbox.fail(*failures, at=at)
    mail = await open_mail(retry=RetryPolicy(attempts=3, first=timedelta(seconds=0.3), factor=1000))
    await post(database, mail)
    await wait_for_error(database, attempts=2, error=error)
    await make_due(database)
    await postbox.wait(to=ADDRESS)
    sent = await wait_for_state(database, EmailState.SENT)
    assert (sent.attempts, sent.last_error, len(postbox.received)) == (3, None, 1)


@pytest.mark.parametrize(("answer", "at"), [("550 5.1.1 canary nobody", "RCPT"), ("554 5.7.1 canary spam", "DATA")])
async def test_a_refused_email_fails_at_once(
    open_mail: Open, database: Database, postbox: Postbox, answer: str, at: Any
) -> None:
    postbox.fail(answer, at=at)
    mail = await open_mail()
    await post(database, mail)
    failed = await wait_for_state(database, EmailState.FAILED)
    assert failed.attempts == 1
    assert failed.last_error is not None
    assert answer[:3] in failed.last_error
    assert "canary" not in failed.last_error
    assert (await read_stored(database))[0]["sealed_content"] is None
    await wait_until_idle(database)
    assert postbox.tries == 1


async def test_an_email_that_never_gets_through_is_given_up(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    postbox.fail(*["451 4.3.0 later"] * 9)
    mail = await open_mail()
    await post(database, mail)
    failed = await wait_for_state(database, EmailState.FAILED)
    assert (failed.attempts, failed.last_error) == (3, "SMTPDataError 451")
    await wait_until_idle(database)
    assert (await read_stored(database))[0]["sealed_content"] is None


async def test_a_server_that_never_answers_is_left_in_the_end(
    open_mail: Open, database: Database, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_module, "ANSWER_SECONDS", 0.2)
    postbox.fail("hang")
    mail = await open_mail()
    await post(database, mail)
    await postbox.wait(to=ADDRESS)
    assert (await wait_for_state(database, EmailState.SENT)).attempts == 2


async def test_a_mail_server_that_is_away_is_waited_for(open_mail: Open, database: Database) -> None:
    mail = await open_mail(smtp_url=Secret("smtp://127.0.0.1:9"), retry=RetryPolicy(attempts=2, first=timedelta(0)))
    await post(database, mail)
    assert (await wait_for_state(database, EmailState.FAILED)).last_error == "SMTPConnectError"


async def test_an_email_cut_off_after_the_server_had_it_comes_again_as_the_same_email(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    postbox.fail("drop after")
    mail = await open_mail()
    await post(database, mail)
    first, second = await postbox.wait(count=2)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Date"] == second.message["Date"]


async def test_a_second_run_of_the_job_sends_nothing(open_mail: Open, database: Database, postbox: Postbox) -> None:
    mail = await open_mail()
    email_id = await post(database, mail)
    await wait_for_state(database, EmailState.SENT)
    await run_again(database, email_id)
    await run_again(database, uuid4())
    await wait_until_idle(database)
    assert postbox.tries == 1


async def test_runs_at_the_same_time_in_two_processes_send_once(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    mail = await open_mail(working=False)
    email_id = await post(database, mail)
    for _ in range(6):
        await run_again(database, email_id)
    patient = RetryPolicy(attempts=50, first=timedelta(seconds=0.05), factor=1)
    await open_mail(retry=patient)
    await open_mail(retry=patient)
    await wait_until_idle(database)
    assert (postbox.tries, len(postbox.received)) == (1, 1)


async def test_a_mail_server_that_hangs_holds_no_database_connection(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    postbox.fail(*["hang"] * 4)
    mail = await open_mail()
    for number in range(4):
        await post(database, mail, make_email(address=f"person{number}@example.com"))
    await postbox.wait_for_tries(4)
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    async with database.unit_of_work() as unit:
        free = (await unit.execute(text("SELECT id FROM letters FOR UPDATE SKIP LOCKED"))).all()
        assert (len(free), await unit.scalar(text(held))) == (4, 0)
    assert FAULTS == []


async def test_an_email_whose_sender_died_is_sent_when_its_claim_ends(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    mail = await open_mail(working=False)
    await post(database, mail, make_email(good_until=datetime.now(UTC) + timedelta(seconds=0.5)))
    await post(database, mail, make_email(address="later@example.com"))
    claim = "UPDATE letters SET attempts = 1, claimed_until = now() + interval '1 second' RETURNING claimed_until"
    async with database.unit_of_work() as unit:
        ends = await unit.scalar(text(claim))
    await open_mail(retry=RetryPolicy(attempts=50, first=timedelta(seconds=0.1), factor=1))
    (email,) = await postbox.wait(to="later@example.com")
    sent = await wait_for_state(database, EmailState.SENT)
    assert (sent.attempts, sent.sent_at is not None and ends is not None and sent.sent_at > ends) == (2, True)
    await wait_until_idle(database)
    assert postbox.received == [email]
    await wait_for_state(database, EmailState.EXPIRED)


async def test_an_email_whose_link_has_expired_is_not_claimed(open_mail: Open, database: Database) -> None:
    """Another's claim may end after the sender looked for expired ones, and before it claims."""
    mail = await open_mail(working=False)
    email_id = await post(database, mail, make_email(good_until=datetime.now(UTC) - timedelta(seconds=1)))
    assert email_id is not None
    async with database.unit_of_work() as unit:
        assert await claim_email(unit, email_id, timedelta(minutes=1)) is None


async def test_a_process_that_stops_gives_its_email_back(open_mail: Open, database: Database, postbox: Postbox) -> None:
    postbox.fail("hang")
    jobs = await open_mail()
    await post(database, jobs)
    await postbox.wait_for_tries(1)
    await jobs._jobs.stop()
    (waiting,) = await read_stored(database)
    assert (waiting["state"], waiting["attempts"], waiting["claimed_until"]) == ("queued", 0, None)
    await open_mail()
    assert (await wait_for_state(database, EmailState.SENT)).attempts == 1


async def test_an_email_past_its_time_is_not_sent(open_mail: Open, database: Database, postbox: Postbox) -> None:
    mail = await open_mail()
    await post(database, mail, make_email(good_until=datetime.now(UTC) - timedelta(seconds=1)))
    expired = await wait_for_state(database, EmailState.EXPIRED)
    assert (expired.attempts, postbox.tries) == (0, 0)
    assert (await read_stored(database))[0]["sealed_content"] is None


async def test_emails_whose_job_is_lost_are_erased_and_old_records_go(open_mail: Open, database: Database) -> None:
    mail = await open_mail(working=False)
    await post(database, mail, make_email(good_until=datetime.now(UTC) - timedelta(seconds=1)))
    await post(database, mail, make_email(good_until=datetime.now(UTC) + timedelta(hours=1)))
    await post(database, mail)
    await mail._expire()
    stored = await read_stored(database)
    assert sorted((one["state"], one["sealed_content"] is None) for one in stored) == [
        ("expired", True),
        ("queued", False),
        ("queued", False),
    ]
    async with database.unit_of_work() as unit:
        await unit.execute(text("UPDATE letters SET created_at = now() - interval '91 days'"))
    for pruner in EMAIL_PRUNERS:
        await pruner.prune(database, pruner.keep, 1000)
    assert [one["state"] for one in await read_stored(database)] == ["queued", "queued"]


async def test_a_person_s_emails_are_forgotten_with_them(open_mail: Open, database: Database, postbox: Postbox) -> None:
    gone, other = uuid4(), uuid4()
    mail = await open_mail(working=False)
    await post(database, mail, make_email(user_id=gone))
    await post(database, mail, make_email(user_id=other, address="other@example.com"))
    async with database.unit_of_work() as unit:
        assert await delete_person_emails(unit, gone) == 1
    await open_mail()
    await wait_until_idle(database)
    assert [received.to for received in postbox.received] == ["other@example.com"]


async def test_an_email_sealed_for_another_row_is_not_sent(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    mail = await open_mail(working=False)
    await post(database, mail)
    async with database.unit_of_work() as unit:
        await unit.execute(
            text("UPDATE letters SET sealed_content = set_byte(sealed_content, 30, get_byte(sealed_content, 30) # 1)")
        )
    await open_mail()
    failed = await wait_for_state(database, EmailState.FAILED)
    assert (failed.last_error, postbox.tries) == ("vault.unreadable", 0)


async def test_an_email_outlives_its_mail_server(open_mail: Open, database: Database) -> None:
    mail = await open_mail(working=False)
    await post(database, mail)
    await open_mail(smtp_url=None, email_from=None)
    assert (await wait_for_state(database, EmailState.FAILED)).last_error == "MailNotConfigured"


HOSTILE = [
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com, b@example.com",
    "Ada <a@example.com>",
    "a@example.com>\r\nRCPT TO:<b@example.com",
    "a b@example.com",
    "a\x00@example.com",
    "a\ud800@example.com",
    "@example.com",
    "a@",
    "",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("address", HOSTILE, ids=range(len(HOSTILE)))
def test_no_email_goes_to_what_is_no_address(address: str) -> None:
    with pytest.raises(Invalid):
        make_email(address=address)


async def test_what_people_chose_cannot_break_an_email(open_mail: Open, database: Database, postbox: Postbox) -> None:
    mail = await open_mail()
    hostile = "Hi\r\nBcc: b@example.com\r\n\r\nGot you\x00\ud800" + "é" * 200_000
    await post(database, mail, make_email(subject=hostile, text=hostile + "\n.\nQUIT\n", html=hostile))
    (received,) = await postbox.wait()
    assert received.message["Bcc"] is None
    assert received.subject.startswith("Hi Bcc: b@example.com Got you é")
    assert len(received.subject) == 200
    assert "\n.\nQUIT" in received.text
    await wait_until_idle(database)
    assert (postbox.tries, len(postbox.received)) == (1, 1)


async def test_an_email_to_an_address_beyond_the_server_s_alphabet_fails(open_mail: Open, database: Database) -> None:
    mail = await open_mail()
    await post(database, mail, make_email(address="zoë@example.com"))
    assert (await wait_for_state(database, EmailState.FAILED)).last_error == "SMTPNotSupported"


async def test_an_internationalized_domain_is_encoded_for_the_server(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    mail = await open_mail()
    await post(database, mail, make_email(address="zoe@straße.example"))
    await postbox.wait(to="zoe@xn--strae-oqa.example")


async def test_the_operator_sees_what_is_stuck_and_nothing_of_its_content(
    open_mail: Open, database: Database, postbox: Postbox
) -> None:
    assert await describe_emails(database) == ["No email is queued, and none has failed."]
    postbox.fail("550 5.1.1 canary nobody", at="RCPT")
    mail = await open_mail()
    await post(database, mail)
    await wait_for_state(database, EmailState.FAILED)
    idle = await open_mail(working=False)
    async with database.unit_of_work() as unit:
        stuck = make_email(kind="verify", address="stuck@example.com")
        await idle.enqueue(unit, stuck)
        await unit.execute(text("DELETE FROM procrastinate_jobs"))
        await unit.execute(text("UPDATE letters SET created_at = now() - interval '3 hours' WHERE kind = 'verify'"))
    assert await describe_emails(database) == [
        "1 queued:",
        "  verify to stuck@example.com  3 h old  0 attempts",
        "1 failed:",
        f"  reset to {ADDRESS}  0 min old  1 attempt  SMTPRecipientsRefused 550",
    ]


@pytest.fixture
def _logs_as_they_were() -> Any:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("_logs_as_they_were")
async def test_no_log_holds_an_email(
    open_mail: Open,
    database: Database,
    postbox: Postbox,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("basewarden", "procrastinate", "aiosmtplib", "psycopg"):  # the server's own logs are not ours
        caplog.set_level(logging.DEBUG, logger=name)
    configure_logs("debug")
    postbox.fail("451 4.3.0 canary", "554 5.7.1 canary")
    mail = await open_mail()
    await post(database, mail)
    await wait_for_state(database, EmailState.FAILED)
    await wait_until_idle(database)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "mail.delayed" in said
    assert "mail.failed" in said
    assert "canary" not in said
    assert ADDRESS not in said


async def test_ids_are_of_the_email_and_the_queue_is_clean(open_mail: Open, database: Database) -> None:
    mail = await open_mail()
    before = make_id()
    email_id = await post(database, mail)
    assert email_id is not None
    assert str(before)[:8] <= str(email_id)[:8]
    await wait_until_idle(database)
    async with database.read_only() as session:
        assert await list_failed(session) == []
        assert await count_waiting(session) == 0
