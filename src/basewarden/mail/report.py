"""What `basewarden letters` prints: the letters that are not out, never what they say."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from basewarden.db import Database
from basewarden.mail.models import LetterState
from basewarden.mail.queries import LetterRecord, list_letters

MOST_SHOWN = 200


async def describe_letters(database: Database) -> list[str]:
    """One line a letter, the latest first: what is queued, then what has failed."""
    async with database.read_only() as session:
        queued = await list_letters(session, state=LetterState.QUEUED, limit=MOST_SHOWN)
        failed = await list_letters(session, state=LetterState.FAILED, limit=MOST_SHOWN)
    if not queued and not failed:
        return ["No letter is waiting and none has failed."]
    return [*_describe("queued", queued), *_describe("failed", failed)]


def _describe(title: str, letters: Sequence[LetterRecord]) -> list[str]:
    if not letters:
        return []
    more = " or more" if len(letters) == MOST_SHOWN else ""
    return [f"{len(letters)}{more} {title}:", *(_describe_one(letter) for letter in letters)]


def _describe_one(letter: LetterRecord) -> str:
    tried = f"{letter.attempts} attempt{'' if letter.attempts == 1 else 's'}"
    why = f"  {letter.last_error}" if letter.last_error else ""
    return f"  {letter.kind} to {letter.address}  {_say_age(datetime.now(UTC) - letter.created_at)} old  {tried}{why}"


def _say_age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
