"""Tables, columns, keys and relations, as far as the caller may know of them."""

from typing import Any

from pgrest import Column, ForeignKey, Schema, Table


def describe_schema(schema: Schema, allowed: frozenset[str] | None) -> dict[str, Any]:
    tables = [
        table
        for table in sorted(schema.tables.values(), key=lambda table: table.qualified)
        if table.schema in schema.exposed and (allowed is None or f"{table.schema}.{table.name}" in allowed)
    ]
    names = {table.qualified for table in tables}
    return {"tables": [_describe_table(table, names) for table in tables]}


def _describe_table(table: Table, known: set[tuple[str, str]]) -> dict[str, Any]:
    return {
        "schema": table.schema,
        "name": table.name,
        "kind": table.kind,
        "comment": table.comment,
        "primaryKey": list(table.primary_key),
        "columns": [_describe_column(column) for column in table.columns.values()],
        "relations": [_describe_foreign_key(key) for key in table.foreign_keys_out if key.ref_table in known],
        "referencedBy": [_describe_foreign_key(key) for key in table.foreign_keys_in if key.table in known],
    }


def _describe_column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "default": column.default,
        "identity": column.identity != "",
        "generated": column.generated,
        "enumValues": list(column.enum_values),
        "comment": column.comment,
    }


def _describe_foreign_key(key: ForeignKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "table": ".".join(key.table),
        "columns": list(key.columns),
        "references": ".".join(key.ref_table),
        "referencedColumns": list(key.ref_columns),
        "onDelete": key.on_delete,
        "onUpdate": key.on_update,
    }
