"""Identifiers of our own rows."""

import os
import time
from datetime import datetime
from functools import lru_cache
from uuid import UUID

_LENGTH = 36


def make_id() -> UUID:
    """Makes a UUID of version 7: random, and sorted by the millisecond in which it was made."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76 | (random_bits >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random_bits & ((1 << 62) - 1)
    return UUID(int=value)


def make_first_id(moment: datetime) -> UUID:
    """Makes the lower bound of the ids that `make_id` makes from this moment on."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """Returns None for anything but a UUID in its canonical form, so that malformed ids are unknown ones."""
    return _parse(text) if len(text) == _LENGTH else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> UUID | None:
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
