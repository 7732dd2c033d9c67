"""What every part of the document uses: references, comments in two parts, the parameters of all tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Described = dict[str, Any]

OBJECTS = ("application/vnd.pgrst.object+json;nulls=stripped", "application/vnd.pgrst.object+json")
_RETURNS = ("return=representation", "return=minimal", "return=none")
_RESOLUTIONS = ("resolution=ignore-duplicates", "resolution=merge-duplicates")


def refer(section: Literal["parameters", "definitions"], name: str) -> Described:
    """A reference is a JSON pointer within a URI's fragment; only what would break it is escaped."""
    escaped = name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
    return {"$ref": f"#/{section}/{escaped}"}


def split_comment(comment: str | None) -> Described:
    """The first line of a comment is the summary, the rest the description."""
    if comment is None:
        return {}
    summary, _, rest = comment.partition("\n")
    described: Described = {"summary": summary}
    if description := rest.lstrip("\n"):
        described["description"] = description
    return described


def _describe_prefer(values: Sequence[str] = ()) -> Described:
    described: Described = {
        "name": "Prefer",
        "description": "Preference",
        "required": False,
        "in": "header",
        "type": "string",
    }
    return {**described, "enum": values} if values else described


def _describe_text(name: str, description: str, place: Literal["query", "header"]) -> Described:
    return {"name": name, "description": description, "required": False, "in": place, "type": "string"}


SHARED_PARAMETERS: Mapping[str, Described] = {
    "preferParams": _describe_prefer(),
    "preferReturn": _describe_prefer(_RETURNS),
    "preferCount": _describe_prefer(("count=none",)),
    "preferPost": _describe_prefer((*_RETURNS, *_RESOLUTIONS)),
    "select": _describe_text("select", "Filtering Columns", "query"),
    "on_conflict": _describe_text("on_conflict", "On Conflict", "query"),
    "order": _describe_text("order", "Ordering", "query"),
    "range": _describe_text("Range", "Limiting and Pagination", "header"),
    "rangeUnit": {**_describe_text("Range-Unit", "Limiting and Pagination", "header"), "default": "items"},
    "offset": _describe_text("offset", "Limiting and Pagination", "query"),
    "limit": _describe_text("limit", "Limiting and Pagination", "query"),
}
