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


class CallerNeed(StrEnum):
    """What a check asks of a person beside their sign-in, or leaves out."""

    RECENT = "recent"
    OPERATOR = "operator"
    WITHOUT_SECOND_FACTOR = "without_second_factor"


def callers(*kinds: CallerKind, role: str = "", need: CallerNeed | None = None) -> Callable[[F], F]:
    """Marks a dependency (or an ASGI application) as the check that admits only these callers.

    `role` is the minimum that a member needs.
    """

    def mark(function: F) -> F:
        function.__dict__.update(callers=frozenset(kinds), role=role, need=need)
        return function

    return mark


def declared_callers(function: Any) -> frozenset[CallerKind]:
    return getattr(function, "callers", frozenset())


def declared_role(function: Any) -> str:
    return getattr(function, "role", "") if declared_callers(function) else ""


def declared_need(function: Any) -> CallerNeed | None:
    return getattr(function, "need", None) if declared_callers(function) else None


@callers(CallerKind.ANYONE)
async def anyone() -> None:
    """Declares that a route is open to everyone."""
