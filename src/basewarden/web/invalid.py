"""Describes invalid bodies and queries in a response of limited size, whatever the caller sends."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from basewarden.errors import AppError, BadJSON, Invalid

MOST_FIELDS: Final = 20
_LONGEST_NAME = 100
_LONGEST_MESSAGE = 500


def describe_invalid(errors: Sequence[Mapping[str, Any]]) -> AppError:
    """Lists the first 20 fields with a message each; the hint has the number of the others."""
    if any(item["type"] == "json_invalid" or isinstance(item.get("input"), bytes) for item in errors):
        return BadJSON()  # bytes: the content type is not JSON
    more = len(errors) - MOST_FIELDS
    return Invalid(
        details=[_describe(item) for item in errors[:MOST_FIELDS]],
        hint=f"{more} more fields are not valid and not listed here." if more > 0 else None,
    )


def _describe(item: Mapping[str, Any]) -> dict[str, str]:
    name = ".".join(str(part) for part in item["loc"][1:])
    return {
        "field": _shorten(name, _LONGEST_NAME),
        "message": _shorten(item["msg"].removeprefix("Value error, "), _LONGEST_MESSAGE),
    }


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
