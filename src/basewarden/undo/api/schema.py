"""Adds to a schema what the project's OpenAPI document does not show: unique keys. Pure."""

from dataclasses import replace

import msgspec

from basewarden.undo.planning.plan import find_schema_mismatch
from basewarden.undo.target import UndoTarget
from pgrest import Name, Schema, UniqueKey


def has_schema_mismatch(schema: Schema, target: UndoTarget) -> bool:
    """Whether `schema` may be outdated: a recorded row does not fit its table."""
    tables, folded = schema.tables, target.folded
    return any(
        number not in folded.undone_earlier and find_schema_mismatch(change, tables.get((change.schema, change.table)))
        for number, change in enumerate(folded.changes)
    )


def add_moved_keys(schema: Schema, target: UndoTarget) -> Schema:
    """Rows that get their former key back must find it free, as with any unique key."""
    moved = {
        (change.schema, change.table)
        for change in target.folded.changes
        if None not in (change.key_before, change.key_after) and change.key_before != change.key_after
    }
    for name in moved & schema.tables.keys():
        schema = add_unique_key(schema, name, schema.tables[name].key)
    return schema


def add_unique_key(schema: Schema, name: Name, columns: tuple[str, ...]) -> Schema:
    table = schema.tables[name]
    if columns in {key.columns for key in table.unique_keys}:
        return schema
    key = UniqueKey(columns, is_primary=False, is_constraint=True, is_immediate=True)
    keyed = msgspec.structs.replace(table, unique_keys=(*table.unique_keys, key))
    return replace(schema, tables={**schema.tables, name: keyed})
