"""Limits of the size and the duration of requests. `docs/reference/budgets.md` lists all of them."""

import re
from dataclasses import dataclass, field
from typing import Final

from basewarden.settings import Network, Settings

DATA_API_PREFIX: Final = "/api/v/"
_KB, _MB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyBudget:
    """`values`: how many members and elements JSON may hold, since each wrong one costs an error; None = any number."""

    size: int
    values: int | None


@dataclass(frozen=True, slots=True)
class LargerBody:
    """Paths whose bodies may be larger than others, and the reason."""

    path: re.Pattern[str]
    budget: BodyBudget
    reason: str


MOST_VALUES: Final = 2_000
LARGER_BODIES: Final = (
    LargerBody(
        re.compile(r"/api/webhooks/"),
        BodyBudget(_MB, None),
        "the payment provider's events, which are verified as they came",
    ),
    LargerBody(
        re.compile(r"/(api/connections|c)/[^/]+/agents"),
        BodyBudget(256 * _KB, MOST_VALUES),
        "up to 500 tables by name",
    ),
    LargerBody(
        re.compile(r"/(api/connections|c)/[^/]+/(sessions/[^/]+/)?undo\Z"),
        BodyBudget(256 * _KB, 5_000),
        "choices row by row",
    ),
    LargerBody(
        re.compile(r"/(api/connections|c)/[^/]+/sentry/leaks/text\Z"),
        BodyBudget(4 * _MB, MOST_VALUES),
        "a text of 2 MB to be looked through, escaped as JSON",
    ),
    LargerBody(
        re.compile(r"/c/[^/]+/data/"),
        BodyBudget(4 * _MB, MOST_VALUES),
        "the texts of a row, percent-encoded by the browser",
    ),
)
"""The only exceptions from `max_body_bytes`. The first that matches counts."""


@dataclass(frozen=True, slots=True)
class RequestBudgets:
    """Sizes in bytes, times in seconds. The times of a body count only while this side reads."""

    head_bytes: int = 32 * _KB
    headers: int = 100
    body_bytes: int = 64 * _KB
    data_body_bytes: int = 16 * _MB
    head_seconds: float = 10
    body_idle_seconds: float = 15
    body_seconds: float = 300
    send_idle_seconds: float = 60
    connections: int = 8192
    connections_per_address: int = 512
    proxies: tuple[Network, ...] = field(default=())

    @classmethod
    def read(cls, settings: Settings) -> "RequestBudgets":
        return cls(
            head_bytes=settings.max_head_bytes,
            headers=settings.max_headers,
            body_bytes=settings.max_body_bytes,
            data_body_bytes=settings.max_data_body_bytes,
            head_seconds=settings.head_seconds,
            body_idle_seconds=settings.body_idle_seconds,
            body_seconds=settings.body_seconds,
            send_idle_seconds=settings.send_idle_seconds,
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
        )

    def find_body(self, path: str) -> BodyBudget:
        """Returns the budget for the body of a request to this path."""
        if path.startswith(DATA_API_PREFIX):
            return BodyBudget(self.data_body_bytes, None)
        usual = BodyBudget(self.body_bytes, MOST_VALUES)
        larger = next((larger.budget for larger in LARGER_BODIES if larger.path.match(path)), usual)
        return larger if larger.size > usual.size else usual
