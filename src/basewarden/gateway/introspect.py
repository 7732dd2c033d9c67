"""Tables, columns, keys and relations, as far as the caller may know of them."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from basewarden.policy import Policy
from pgrest import Column, ForeignKey, Name, Schema, Table, hide_columns


def describe_schema(schema: Schema, policy: Policy) -> dict[str, Any]:
    tables = [
        table
        for table in sorted(schema.tables.values(), key=lambda table: table.qualified)
        if table.schema in schema.exposed and policy.may_read(table.qualified)
    ]
    names = {table.qualified for table in tables}
    denied = {name: rules.denied for name, rules in policy.columns.items()}
    shown = (hide_columns(table, denied.get(table.qualified, frozenset())) for table in tables)
    return {"tables": [_describe_table(table, names, denied) for table in shown]}


def _describe_table(table: Table, known: AbstractSet[Name], denied: Mapping[Name, AbstractSet[str]]) -> dict[str, Any]:
    none: AbstractSet[str] = frozenset()
    keys = [key for key in table.foreign_keys_out if key.ref_table in known]
    keys_in = [key for key in table.foreign_keys_in if key.table in known]
    return {
        "schema": table.schema,
        "name": table.name,
        "kind": table.kind,
        "comment": table.comment,
        "primaryKey": list(table.primary_key),
        "columns": [_describe_column(column) for column in table.columns.values()],
        "relations": [
            _describe_foreign_key(key) for key in keys if denied.get(key.ref_table, none).isdisjoint(key.ref_columns)
        ],
        "referencedBy": [
            _describe_foreign_key(key) for key in keys_in if denied.get(key.table, none).isdisjoint(key.columns)
        ],
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
