"""The schema cache as JSON, for people to look at: what it holds may change with any version."""

from typing import Any

import msgspec

from pgrest.schema.model import Schema


def write_snapshot(schema: Schema) -> bytes:
    parts = {
        "dbTables": list(schema.tables.values()),
        "dbRelationships": _list_inner(schema.relationships.values()),
        "dbRoutines": _list_inner(schema.functions.values()),
        "dbRepresentations": _pair(schema.representations),
        "dbMediaHandlers": list(schema.media_handlers.values()),
        "dbTimezones": sorted(schema.timezones),
    }
    return msgspec.json.encode(parts)


def _list_inner(groups: Any) -> list[Any]:
    return [one for group in groups for one in group]


def _pair(mapping: Any) -> list[tuple[Any, Any]]:
    return list(mapping.items())
