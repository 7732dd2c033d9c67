"""What an agent has used in the last hour, and whether that leaves room for more. Pure."""

from dataclasses import dataclass

from basewarden.policy.decisions import ALLOWED, Decision, Refused
from basewarden.policy.errors import BudgetExceeded

HOUR_SECONDS = 3600
MINUTE_SECONDS = 60


@dataclass(slots=True)
class HourOfUse:
    """Rows by minute, the oldest first: each the second that the minute began, and how many. `now` is in seconds.

    A row counts until an hour after the end of its minute, so in no hour there are more than a limit allows.
    """

    now: float
    minutes: list[tuple[float, int]]
    added: int = 0

    @property
    def total(self) -> int:
        return self.added + sum(rows for _, rows in self.minutes)

    def left(self, limit: int) -> int:
        return max(0, limit - self.total)

    def decide(self, limit: int, rows: int) -> Decision:
        """Whether so many more are within the limit. Nothing is counted."""
        if self.total + rows <= limit:
            return ALLOWED
        return Refused(BudgetExceeded.after(self._find_wait(limit, rows), limit))

    def add(self, rows: int) -> None:
        self.added += rows

    def _find_wait(self, limit: int, rows: int) -> float:
        """Seconds until enough of it is an hour old; an hour, where that would never be enough."""
        over = self.total + rows - limit
        for began, used in self.minutes:
            over -= used
            if over <= 0:
                return max(1.0, began + MINUTE_SECONDS + HOUR_SECONDS - self.now)
        return float(HOUR_SECONDS + MINUTE_SECONDS)
