"""Dates and times as people write them."""

import re
from typing import Final

_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?: (\d\d:\d\d)(?::[\d.]+)?(?P<zone>[+-][\d:]+)?)?")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_civil_time(text: str) -> str:
    """PostgreSQL's text of a date or time to the minute: "27 Aug 2025, 15:55 UTC"; any other text as it is."""
    found = _DATE.fullmatch(text)
    if found is None:
        return text
    year, month, day, time = found.group(1, 2, 3, 4)
    date = f"{int(day)} {_MONTHS[int(month) - 1]} {year}"
    if time is None:
        return date
    zone = {None: "", "+00": " UTC"}.get(found["zone"], f" {found['zone']}")
    return f"{date}, {time}{zone}"
