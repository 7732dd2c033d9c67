"""What is read out of a project's OpenAPI document, and what of it is passed over."""

from typing import Any

import pytest

from basewarden.connections.rest.http_connection import ProtocolError
from basewarden.connections.rest.openapi_documents import MAX_VALUES_OF_ONE, read_documents
from basewarden.gateway.api.openapi import read_schema
from pgrest import Column, Schema

_KEY = "Note:\nThis is a Primary Key.<pk/>"
_DOCUMENT: dict[str, Any] = {
    "swagger": "2.0",
    "paths": {
        "/": {"get": {}},
        "/orders": {"get": {}, "post": {}, "patch": {}, "delete": {}},
        "/customers": {"get": {}, "post": {}, "patch": {}, "delete": {}},
        "/totals": {"get": {}},
        "/rpc/add": {
            "get": {"parameters": [{"name": "a", "in": "query"}, {"name": "more", "collectionFormat": "multi"}]},
            "post": {
                "summary": "Adds.",
                "parameters": [
                    {
                        "in": "body",
                        "name": "args",
                        "schema": {
                            "required": ["a"],
                            "properties": {
                                "a": {"format": "int32", "type": "integer"},
                                "more": {"format": "integer[]", "type": "array"},
                            },
                        },
                    },
                    {"$ref": "#/parameters/preferParams"},
                ],
            },
        },
        "/rpc/wipe": {"post": {"parameters": []}},
    },
    "definitions": {
        "orders": {
            "description": "What people bought.",
            "required": ["id", "customer"],
            "properties": {
                "id": {"type": "integer", "format": "int64", "description": _KEY},
                "customer": {
                    "type": "integer",
                    "format": "int32",
                    "description": "Who.\n\nNote:\nThis is a Foreign Key to `customers.id`.<fk table='customers' column='id'/>",
                },
                "mood": {"type": "string", "format": "public.mood", "enum": ["sad", "ok"], "default": "ok"},
                "code": {"type": "string", "format": "character varying", "maxLength": 5},
                "tags": {"type": "array", "format": "text[]", "items": {"type": "string"}},
                "price": {"type": "number", "format": "numeric(10,2)"},
                "extra": {"format": "jsonb"},
            },
        },
        "customers": {"required": ["id"], "properties": {"id": {"format": "int32", "description": _KEY}}},
        "totals": {"properties": {"sum": {"format": "numeric"}}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> Schema:
    return read_schema({"public": _DOCUMENT})


def test_tables_columns_and_keys(schema: Schema) -> None:
    assert schema.exposed == ("public",)
    orders = schema.tables["public", "orders"]
    assert (orders.primary_key, orders.key, orders.kind) == (("id",), ("id",), "table")
    assert orders.comment == "What people bought."
    described = [(one.name, one.type, one.category, one.nullable) for one in orders.columns.values()]
    assert described == [
        ("id", "bigint", "N", False),
        ("customer", "integer", "N", False),
        ("mood", "public.mood", "E", True),
        ("code", "character varying", "S", True),
        ("tags", "text[]", "A", True),
        ("price", "numeric(10,2)", "N", True),
        ("extra", "jsonb", "U", True),
    ]
    mood: Column = orders.columns["mood"]
    assert (mood.enum_values, mood.default, orders.columns["code"].max_length) == (("sad", "ok"), "ok", 5)
    assert (orders.columns["customer"].comment, orders.columns["id"].comment) == ("Who.", None)
    assert schema.tables["public", "totals"].kind == "view"
    assert schema.tables["public", "totals"].key == ()


def test_foreign_keys_become_relationships(schema: Schema) -> None:
    (out,) = schema.tables["public", "orders"].foreign_keys_out
    assert (out.columns, out.ref_table, out.ref_columns) == (("customer",), ("public", "customers"), ("id",))
    assert schema.tables["public", "customers"].foreign_keys_in == (out,)
    assert [(one.target, one.cardinality) for one in schema.relationships["public", "orders"]] == [
        (("public", "customers"), "many-to-one")
    ]


def test_functions(schema: Schema) -> None:
    (add,) = schema.functions["public", "add"]
    described = [(one.name, one.type, one.is_required, one.is_variadic) for one in add.parameters]
    assert described == [("a", "integer", True, False), ("more", "integer[]", False, True)]
    assert (add.volatility, add.comment) == ("s", "Adds.")
    assert schema.functions["public", "wipe"][0].volatility == "v"


ODD: list[Any] = [
    {},
    {"definitions": None, "paths": []},
    {"definitions": {"a": None, "b": {"properties": 7}, "c": {"properties": {"x": None, "y": {"format": 3}}}}},
    {
        "definitions": {
            "a": {"required": [1, None], "properties": {"x": {"enum": 7, "maxLength": "z", "description": 1}}}
        }
    },
    {"definitions": {"a": {"properties": {"x": {"description": "<fk table='nowhere' column='x'/>"}}}}},
    {"definitions": {"a": {"properties": {"x": {"description": "<fk table='a' column='nothing'/>"}}}}},
    {"paths": {"/a": None, "/rpc/f": {"post": {"parameters": [1, {"in": "body", "schema": 7}]}, "get": 1}}},
]


@pytest.mark.parametrize("document", ODD)
def test_what_is_not_as_it_should_be_is_passed_over(document: Any) -> None:
    schema = read_schema({"public": document})
    assert schema.relationships == {}


def test_a_function_with_more_than_any_has_is_refused() -> None:
    """Decoded at once it would hold up the process, also from a thread."""
    zeros = ",".join(["0"] * MAX_VALUES_OF_ONE)
    with pytest.raises(ProtocolError):
        read_documents({"public": f'{{"paths":{{"/rpc/f":{{"post":[{zeros},0]}}}}}}'.encode()})
    described = read_documents({"public": f'{{"paths":{{"/rpc/f":{{"post":[{zeros}]}}}}}}'.encode()})
    assert len(described["public"]["paths"]["/rpc/f"]["post"]) == MAX_VALUES_OF_ONE
