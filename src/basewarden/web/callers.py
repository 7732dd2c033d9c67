"""Every route declares who may call it; `tests/rules/test_callers.py` fails on one that does not."""

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
    """Marks a dependency (or a plain ASGI app) as the check that lets these callers, and nobody else, in."""

    def mark(function: F) -> F:
        function.__dict__["callers"] = frozenset(kinds)
        return function

    return mark


def declared_callers(function: Any) -> frozenset[CallerKind]:
    return getattr(function, "callers", frozenset())


@callers(CallerKind.ANYONE)
async def anyone() -> None:
    """The declaration of a route that is open on purpose."""
