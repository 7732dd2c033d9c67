"""Deterministic randomness: one generator per table, so that a change in one does not affect the others."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

# The shop's current time; no data depends on the clock.
TODAY = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
OPENED = datetime(2024, 3, 1, 8, 0, tzinfo=UTC)


def make_chance(table: str) -> Random:
    return Random(f"lindenrain/{table}")


def make_uuid(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def moment_between(chance: Random, start: datetime, end: datetime) -> datetime:
    """Returns a random time with microseconds."""
    span = (end - start) // timedelta(microseconds=1)
    return start + timedelta(microseconds=chance.randrange(max(span, 1)))


def is_lucky(chance: Random, probability: float) -> bool:
    return chance.random() < probability
