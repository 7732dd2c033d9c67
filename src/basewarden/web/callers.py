"""Every route declares its callers; `tests/rules/test_callers.py` fails for a route that does not."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class CallerKind(StrEnum):
    ANYONE = "anyone"
    PERSON = "person"
    MEMBER = "member"
    AGENT = "agent"
    SCHEDULER = "scheduler"
    SCRAPER = "scraper"
    PROVIDER = "provider"


def callers(*kinds: CallerKind) -> Callable[[F], F]:
    """Marks a dependency (or an ASGI application) as the check that admits only these callers."""

    def mark(function: F) -> F:
        function.__dict__["callers"] = frozenset(kinds)
        return function

    return mark


def declared_callers(function: Any) -> frozenset[CallerKind]:
    return getattr(function, "callers", frozenset())


@callers(CallerKind.ANYONE)
async def anyone() -> None:
    """Declares that a route is open to everyone."""
