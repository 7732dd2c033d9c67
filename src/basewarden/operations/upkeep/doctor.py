"""`basewarden doctor`: checks a deployment, and says what to do about each finding.

It changes nothing and shows no secret: of a setting it prints the name, and whether it is set.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from basewarden.db import Base, Database
from basewarden.errors import AppError, StartError
from basewarden.jobs import count_failed, count_waiting, find_oldest_waiting_age
from basewarden.journal import partition_bounds
from basewarden.mail import check_smtp
from basewarden.operations.upkeep import queries
from basewarden.operations.upkeep.backup import describe_key_home, find_head
from basewarden.settings import Settings
from basewarden.vault import SealContext, SealedColumn, Vault, VaultError, list_sealed_columns, make_keyring

WAITING_TOO_LONG = timedelta(minutes=10)
PENDING_TOO_LONG = timedelta(minutes=10)
CLOCK_WARNS = timedelta(seconds=2)
CLOCK_FAILS = timedelta(seconds=30)
DISK_WARNS = 5 * 1024**3
DISK_FAILS = 512 * 1024**2
_BATCH_ROWS = 500


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do; it is empty if nothing is to be done."""

    subject: str
    level: Level
    text: str
    advice: str = ""

    def line(self) -> str:
        return f"{self.level:<4}  {self.subject}: {self.text}" + (f" {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Report:
    findings: Sequence[Finding]

    @property
    def is_good(self) -> bool:
        """Whether no check failed; warnings are no failures."""
        return all(finding.level is not Level.FAIL for finding in self.findings)

    def list_lines(self) -> list[str]:
        return [finding.line() for finding in self.findings]

    def body(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": self.is_good, "findings": [asdict(finding) for finding in self.findings]}


Check = Callable[[Settings, Database], Awaitable[list[Finding]]]


async def examine(settings: Settings, database: Database) -> Report:
    """Runs each check by itself: a check that cannot run is a finding, and the others continue."""
    findings: list[Finding] = []
    for subject, check in _CHECKS.items():
        try:
            findings += await check(settings, database)
        except (AppError, StartError, SQLAlchemyError, OSError) as error:
            reason = str(error) if isinstance(error, AppError | StartError) else type(error).__name__
            findings.append(Finding(subject, Level.FAIL, f"it cannot be checked: {reason}"))
    return Report(findings)


def report_start_error(error: StartError) -> Report:
    """The report if the checks cannot start."""
    return Report([Finding("start", Level.FAIL, str(error), "Nothing else can be checked until then.")])


async def _check_settings(settings: Settings, _: Database) -> list[Finding]:
    given = sorted(
        field.alias or name
        for name, field in Settings.model_fields.items()
        if _is_given(getattr(settings, name), field)
    )
    findings = [Finding("settings", Level.OK, f"set are {', '.join(given)}.")]
    findings += [Finding("settings", Level.WARN, text, advice) for text, advice in _list_doubts(settings)]
    return findings


def _is_given(value: Any, field: Any) -> bool:
    return value not in (None, (), field.default)


def _list_doubts(settings: Settings) -> list[tuple[str, str]]:
    doubts = []
    is_public = "//localhost" not in settings.origin and "//127.0.0.1" not in settings.origin
    if is_public and not settings.is_https:
        doubts.append(("the origin is not https.", "Use a proxy with a TLS certificate, and set BASEWARDEN_ORIGIN."))
    if is_public and settings.allow_private_addresses:
        doubts.append(
            (
                "connections may point into your own network.",
                "Unset BASEWARDEN_ALLOW_PRIVATE_ADDRESSES if sign-up is public.",
            )
        )
    if is_public and not settings.operators:
        doubts.append(("no account can open the operator page.", "Add your address to BASEWARDEN_OPERATORS."))
    if is_public and settings.sentry_dsn is None:
        doubts.append(
            ("unexpected errors are only in the log.", "Set SENTRY_DSN, or watch the log for `request.failed`.")
        )
    if settings.encryption_key_old is not None:
        doubts.append(
            ("an old key is still set.", "Run `basewarden rotate-key`, then unset BASEWARDEN_ENCRYPTION_KEY_OLD.")
        )
    return doubts


async def _check_database(_: Settings, database: Database) -> list[Finding]:
    async with database.read_only() as session:
        facts = await queries.read_database_facts(session)
        unusable = await queries.list_unusable_tables(session)
    size = f"{facts.size / 1024**2:,.0f} MB"
    findings = [Finding("database", Level.OK, f"PostgreSQL {facts.version}, role {facts.role}, {size}.")]
    if not facts.may_create:
        advice = "Grant it CREATE on the schema. Migrations and the journal's monthly tables need it."
        findings.append(Finding("database", Level.FAIL, "our role may not create tables.", advice))
    if unusable:
        shown = ", ".join(unusable[:5]) + (", …" if len(unusable) > 5 else "")
        findings.append(
            Finding("database", Level.FAIL, f"our role may not use {shown}.", "Make it the owner of the tables.")
        )
    return [*findings, assess_clock(facts.now - datetime.now(UTC))]


def assess_clock(off: timedelta) -> Finding:
    amount = f"{abs(off.total_seconds()):.1f} s"
    if abs(off) < CLOCK_WARNS:
        return Finding("clock", Level.OK, f"this machine's and the database's differ by {amount}.")
    level = Level.FAIL if abs(off) >= CLOCK_FAILS else Level.WARN
    advice = "Synchronize both clocks with NTP: codes, links and sessions depend on them."
    return Finding("clock", level, f"this machine's and the database's differ by {amount}.", advice)


async def _check_migrations(settings: Settings, database: Database) -> list[Finding]:
    async with database.read_only() as session:
        here = await queries.find_revision_of(session)
    head = await asyncio.to_thread(find_head, settings.database_url)
    if here == head:
        return [Finding("migrations", Level.OK, f"the database is at {head}, the newest.")]
    text = f"the database is at {here or 'none'}, this version at {head}."
    return [Finding("migrations", Level.FAIL, text, "Back up, then run `basewarden migrate`.")]


async def _check_mail(settings: Settings, _: Database) -> list[Finding]:
    if settings.smtp_url is None:
        advice = "Set SMTP_URL and EMAIL_FROM. Until then, use `basewarden link` to print links."
        return [Finding("mail", Level.WARN, "no emails are sent.", advice)]
    check = await check_smtp(settings)
    advice = "" if check.ok else "See SMTP_URL; emails stay queued meanwhile, `basewarden emails` lists them."
    return [Finding("mail", Level.OK if check.ok else Level.FAIL, check.sentence, advice)]


async def _check_queue(_: Settings, database: Database) -> list[Finding]:
    async with database.read_only() as session:
        waiting, failed = await count_waiting(session), await count_failed(session)
        age = await find_oldest_waiting_age(session)
    findings = []
    if age is not None and age > WAITING_TOO_LONG:
        minutes = int(age.total_seconds() // 60)
        text = f"Jobs waiting: {waiting}, the oldest for {minutes} minutes."
        findings.append(Finding("queue", Level.WARN, text, "Is `basewarden serve` running? It runs the jobs."))
    else:
        findings.append(Finding("queue", Level.OK, f"Jobs waiting: {waiting}."))
    if failed:
        text = f"Jobs that failed permanently in the last 30 days: {failed}."
        findings.append(Finding("queue", Level.WARN, text, "See `job.failed` in the log."))
    return findings


async def _check_keys(settings: Settings, database: Database) -> list[Finding]:
    """Decrypts every sealed value, and keeps none of them."""
    vault = Vault(make_keyring(settings))
    opened, closed = 0, []
    for sealed in list_sealed_columns(Base.metadata):
        good, bad = await _try_column(database, vault, sealed)
        opened += good
        closed += [f"{bad} of {sealed.place_name}"] if bad else []
    if not closed:
        return [
            Finding(
                "keys",
                Level.OK,
                f"all {opened} stored secrets can be decrypted; the key is {describe_key_home(settings)}.",
            )
        ]
    text = f"{opened} stored secrets can be decrypted, but not {', '.join(closed)}."
    advice = "Set the earlier key as BASEWARDEN_ENCRYPTION_KEY_OLD, or restore the key file of the backup."
    return [Finding("keys", Level.FAIL, text, advice)]


async def _try_column(database: Database, vault: Vault, sealed: SealedColumn) -> tuple[int, int]:
    good, bad, after = 0, 0, None
    while True:
        async with database.read_only() as session:
            rows = await queries.list_sealed(session, sealed, after=after, limit=_BATCH_ROWS)
        for row_id, value in rows:
            is_open = _opens(vault, sealed, row_id, value)
            good, bad = good + is_open, bad + (not is_open)
        if not rows:
            return good, bad
        after = rows[-1][0]


def _opens(vault: Vault, sealed: SealedColumn, row_id: UUID, value: bytes) -> bool:
    try:
        vault.open(value, SealContext(sealed.place_name, row_id))
    except VaultError:
        return False
    return True


async def _check_disk(settings: Settings, _: Database) -> list[Finding]:
    """Only for the embedded database: the disk of another machine is unknown."""
    if settings.data_dir is None or not settings.data_dir.exists():
        return []
    home = settings.data_dir / "postgres"
    free = shutil.disk_usage(home.resolve() if home.exists() else settings.data_dir).free
    return [assess_disk(free)]


def assess_disk(free: int) -> Finding:
    text = f"{free / 1024**3:.1f} GB are free for the embedded database."
    if free >= DISK_WARNS:
        return Finding("disk", Level.OK, text)
    level = Level.FAIL if free < DISK_FAILS else Level.WARN
    return Finding("disk", level, text, "Free disk space, or reduce BASEWARDEN_KEEP_JOURNAL_DAYS.")


async def _check_partitions(_: Settings, database: Database) -> list[Finding]:
    this, following = (name for name, _, _ in partition_bounds(datetime.now(UTC).date(), months_ahead=1))
    async with database.read_only() as session:
        missing = await queries.list_missing_tables(session, [this, following])
    if not missing:
        return [Finding("journal", Level.OK, "the tables for this month and the next exist.")]
    level = Level.FAIL if this in missing else Level.WARN
    text = f"there is no table {' and no '.join(missing)}: writes of that month will fail."
    return [Finding("journal", level, text, "Start `basewarden serve`, which creates them.")]


async def _check_pending(_: Settings, database: Database) -> list[Finding]:
    async with database.read_only() as session:
        stale = await queries.count_stale_writes(session, PENDING_TOO_LONG)
    if not stale.count:
        return [Finding("writes", Level.OK, "none are pending.")]
    text = f"{stale.count} writes to {stale.connections} connections have been pending for more than 10 minutes."
    advice = "Their databases cannot be reached, or `basewarden serve` is not running. They are reconciled later."
    return [Finding("writes", Level.WARN, text, advice)]


_CHECKS: dict[str, Check] = {
    "settings": _check_settings,
    "database": _check_database,
    "migrations": _check_migrations,
    "keys": _check_keys,
    "mail": _check_mail,
    "queue": _check_queue,
    "disk": _check_disk,
    "journal": _check_partitions,
    "writes": _check_pending,
}
