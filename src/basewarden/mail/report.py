"""What `basewarden emails` prints: queued and failed emails, without their content."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from basewarden.db import Database
from basewarden.mail.models import EmailState
from basewarden.mail.queries import EmailRecord, list_emails

MOST_SHOWN = 200


async def describe_emails(database: Database) -> list[str]:
    """One line per email, the latest first: first the queued ones, then the failed ones."""
    async with database.read_only() as session:
        queued = await list_emails(session, state=EmailState.QUEUED, limit=MOST_SHOWN)
        failed = await list_emails(session, state=EmailState.FAILED, limit=MOST_SHOWN)
    if not queued and not failed:
        return ["No email is queued, and none has failed."]
    return [*_describe("queued", queued), *_describe("failed", failed)]


def _describe(title: str, emails: Sequence[EmailRecord]) -> list[str]:
    if not emails:
        return []
    more = " or more" if len(emails) == MOST_SHOWN else ""
    return [f"{len(emails)}{more} {title}:", *(_describe_one(email) for email in emails)]


def _describe_one(email: EmailRecord) -> str:
    tried = f"{email.attempts} attempt{'' if email.attempts == 1 else 's'}"
    why = f"  {email.last_error}" if email.last_error else ""
    return f"  {email.kind} to {email.address}  {_format_age(datetime.now(UTC) - email.created_at)} old  {tried}{why}"


def _format_age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
