"""Decides when events become a message: the first of a kind at once, those that follow soon after it together."""

from dataclasses import dataclass
from datetime import timedelta

PAUSE = timedelta(minutes=5)
"""After a message, further events of its kind wait this long and share the next one."""
FAILING_PAUSE = timedelta(hours=1)
"""The same while the target does not accept messages."""
MAX_MESSAGES_AN_HOUR = 20
"""Of one alert."""


@dataclass(frozen=True, slots=True)
class RecentMessages:
    """`since_last` is the age of the last message about the event, `last_hour` counts those about any event."""

    since_last: timedelta | None = None
    last_hour: int = 0


def is_due(recent: RecentMessages, *, is_failing: bool) -> bool:
    """Whether waiting events of one kind become a message now."""
    if recent.last_hour >= MAX_MESSAGES_AN_HOUR:
        return False
    pause = FAILING_PAUSE if is_failing else PAUSE
    return recent.since_last is None or recent.since_last >= pause
