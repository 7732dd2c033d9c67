"""A table in the document: what its rows are, what filters them, which methods it takes."""

from collections.abc import Mapping, Sequence

from pgrest.openapi.reach import Reach
from pgrest.openapi.shared import Described, refer, split_comment
from pgrest.openapi.types import column_type, describe_type, read_default
from pgrest.schema.model import Column, Relationship, Schema, Table

_PRIMARY_KEY = "This is a Primary Key.<pk/>"
_READING = [
    refer("parameters", name) for name in ("select", "order", "range", "rangeUnit", "offset", "limit", "preferCount")
]
_INSERTING = [refer("parameters", "select"), refer("parameters", "preferPost")]
_CHANGING = [refer("parameters", "preferReturn")]


# Definitions --------------------------------------------------------------------------------------------


def describe_rows(schema: Schema, table: Table, reach: Reach) -> Described:
    described: Described = {"type": "object"}
    if table.comment is not None:
        described["description"] = table.comment
    if required := [column.name for column in table.columns.values() if not column.nullable]:
        described["required"] = required
    if table.columns:
        foreign_keys = _list_foreign_keys(schema, table, reach)
        described["properties"] = {
            name: _describe_column(schema, column, reach, _list_notes(table, name, foreign_keys))
            for name, column in table.columns.items()
        }
    return described


def _describe_column(schema: Schema, column: Column, reach: Reach, notes: Sequence[str]) -> Described:
    type_name = column_type(column)
    described = describe_type(type_name, reach.display_type(schema, type_name, type_name))
    description = _join_notes(column.comment, notes)
    if description is not None:
        described["description"] = description
    if column.enum_values:
        described["enum"] = column.enum_values
    if column.max_length is not None:
        described["maxLength"] = column.max_length
    default = read_default(type_name, column.default, names_others=reach.tables is None)
    if default is not None:
        described["default"] = default
    return described


def _list_notes(table: Table, column: str, foreign_keys: Mapping[str, Relationship]) -> list[str]:
    notes = [_PRIMARY_KEY] if column in table.primary_key else []
    if column in foreign_keys:
        target, key = foreign_keys[column].target[1], foreign_keys[column].columns[0][1]
        notes.append(f"This is a Foreign Key to `{target}.{key}`.<fk table='{target}' column='{key}'/>")
    return notes


def _join_notes(comment: str | None, notes: Sequence[str]) -> str | None:
    if not notes:
        return comment
    noted = "\n".join(["Note:", *notes])
    return noted if comment is None else f"{comment}\n\n{noted}"


def _list_foreign_keys(schema: Schema, table: Table, reach: Reach) -> Mapping[str, Relationship]:
    """Column -> where its own foreign key leads within the schema, rather to a table than to a view of it."""
    leading = [one for one in schema.relationships.get(table.qualified, ()) if _leads_out(one, table, reach)]
    found: dict[str, Relationship] = {}
    for one in sorted(leading, key=lambda one: one.target_is_view):
        found.setdefault(one.columns[0][0], one)
    return found


def _leads_out(one: Relationship, table: Table, reach: Reach) -> bool:
    is_held = one.cardinality == "many-to-one" or (one.cardinality == "one-to-one" and not one.is_parent)
    return is_held and len(one.columns) == 1 and one.target[0] == table.schema and reach.has_table(one.target)


# Parameters ---------------------------------------------------------------------------------------------


def list_parameters(table: Table) -> Described:
    """The table's own parameters: a body and a filter for each column."""
    body = {
        "name": table.name,
        "description": table.name,
        "required": False,
        "in": "body",
        "schema": refer("definitions", table.name),
    }
    return {f"body.{table.name}": body} | {
        f"rowFilter.{table.name}.{column.name}": _describe_filter(column) for column in table.columns.values()
    }


def _describe_filter(column: Column) -> Described:
    described: Described = {"name": column.name, "required": False, "in": "query", "type": "string"}
    if column.comment is not None:
        described["description"] = column.comment
    return described


# Methods ------------------------------------------------------------------------------------------------


def describe_methods(table: Table, reach: Reach) -> Described:
    """What may be sent to the table's path: to read, and to write what can be written and may be."""
    shared = {"tags": (table.name,), **split_comment(table.comment)}
    filters = [refer("parameters", f"rowFilter.{table.name}.{column}") for column in table.columns]
    body = refer("parameters", f"body.{table.name}")
    rows = {"type": "array", "items": refer("definitions", table.name)}
    found = {"200": {"description": "OK", "schema": rows}, "206": {"description": "Partial Content"}}
    changed = {"204": {"description": "No Content"}}
    methods = {"get": {**shared, "parameters": [*filters, *_READING], "responses": found}}
    if not reach.may_write(table):
        return methods
    if table.insertable:
        created = {"201": {"description": "Created"}}
        methods["post"] = {**shared, "parameters": [body, *_INSERTING], "responses": created}
    if table.updatable:
        methods["patch"] = {**shared, "parameters": [*filters, body, *_CHANGING], "responses": changed}
    if table.deletable:
        methods["delete"] = {**shared, "parameters": [*filters, *_CHANGING], "responses": changed}
    return methods
