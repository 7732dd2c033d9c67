"""Reads a snapshot from a project's OpenAPI document: enough to plan with, less than a catalog.

It names tables and views alike, columns with their types, primary keys, foreign keys of one column within one schema,
and functions with their parameters. Constraint names, unique keys, triggers, row security, and what a function
returns is not in it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pgrest import Column, ForeignKey, Function, Name, Parameter, Relationships, Schema, Table

Document = Mapping[str, Any]

_KEY = "<pk/>"
_REFERENCE = re.compile(r"<fk table='(?P<table>[^']*)' column='(?P<column>[^']*)'/>")
_NOTE = re.compile(r"(?:\n\n|\A)Note:\n.*\Z", re.DOTALL)
_LENGTH = re.compile(r"\([^)]*\)")
_TYPES: Final = {"int32": "integer", "int64": "bigint"}
_CATEGORIES: Final = {
    "N": ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "oid"),
    "B": ("boolean",),
    "D": (
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
        "time without time zone",
        "time with time zone",
    ),
    "T": ("interval",),
    "S": ("text", "character varying", "character", "name", "citext"),
    "I": ("inet", "cidr"),
    "G": ("point", "line", "lseg", "box", "path", "polygon", "circle"),
    "V": ("bit", "bit varying"),
    "R": ("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
}
_CATEGORY_OF: Final = {name: category for category, names in _CATEGORIES.items() for name in names}


def read_schema(documents: Mapping[str, Document]) -> Schema:
    """`documents` by schema, the default one first. What in them is not as it should be is passed over."""
    described = {
        (schema, name): definition
        for schema, document in documents.items()
        for name, definition in _objects(document.get("definitions"))
    }
    columns = {name: _read_columns(definition) for name, definition in described.items()}
    keys = [key for name, definition in described.items() for key in _read_foreign_keys(name, definition, columns)]
    out, into = _group(keys, lambda key: key.table), _group(keys, lambda key: key.ref_table)
    tables = {
        name: _read_table(name, definition, _find_methods(documents, name), columns[name], out[name], into[name])
        for name, definition in described.items()
    }
    return Schema(
        exposed=tuple(documents),
        tables=tables,
        functions=dict(_read_functions(documents)),
        relationships=Relationships(tables, {}, ()),
    )


# Tables -------------------------------------------------------------------------------------------------


def _read_table(
    name: Name,
    definition: Document,
    methods: Document,
    columns: Mapping[str, Column],
    out: tuple[ForeignKey, ...],
    into: tuple[ForeignKey, ...],
) -> Table:
    """What can be written counts as a table, also a view that accepts writes."""
    key = tuple(column for column, part in _objects(definition.get("properties")) if _KEY in _text(part, "description"))
    return Table(
        oid=0,
        schema=name[0],
        name=name[1],
        kind="table" if {"post", "patch", "delete"} & set(methods) else "view",
        columns=columns,
        primary_key=key,
        unique_keys=(),
        key=key,
        foreign_keys_out=out,
        foreign_keys_in=into,
        triggers=(),
        rls_enabled=False,
        rls_forced=False,
        owner="",
        comment=_text(definition, "description") or None,
        insertable="post" in methods,
        updatable="patch" in methods,
        deletable="delete" in methods,
        is_partition=False,
    )


def _read_columns(definition: Document) -> dict[str, Column]:
    required = definition.get("required")
    names = frozenset(name for name in required if isinstance(name, str)) if isinstance(required, list) else frozenset()
    return {
        name: _read_column(name, position, part, nullable=name not in names)
        for position, (name, part) in enumerate(_objects(definition.get("properties")), 1)
    }


def _read_column(name: str, position: int, part: Document, *, nullable: bool) -> Column:
    spelled = _read_type(part)
    base = _LENGTH.sub("", spelled)
    values = part.get("enum")
    choices = tuple(str(value) for value in values) if isinstance(values, list) else ()
    length, default = part.get("maxLength"), part.get("default")
    return Column(
        name=name,
        position=position,
        type=spelled,
        base_type=base,
        category="A" if base.endswith("[]") else "E" if choices else _CATEGORY_OF.get(base, "U"),
        nullable=nullable,
        default=None if default is None else str(default),
        enum_values=choices,
        comment=_NOTE.sub("", _text(part, "description")) or None,
        max_length=length if isinstance(length, int) else None,
    )


def _read_type(part: Document) -> str:
    """`format` is PostgreSQL's name of it, but for integers, which go by their size."""
    spelled = _text(part, "format") or "text"
    return _TYPES.get(spelled, spelled)


def _read_foreign_keys(
    name: Name, definition: Document, known: Mapping[Name, Mapping[str, Column]]
) -> Iterator[ForeignKey]:
    """Its constraint's name is not part, so the column lends its own: as a hint PostgREST takes either."""
    for column, part in _objects(definition.get("properties")):
        found = _REFERENCE.search(_text(part, "description"))
        target = (name[0], found["table"]) if found is not None else None
        if found is not None and target is not None and found["column"] in known.get(target, {}):
            yield ForeignKey(
                name=column,
                table=name,
                columns=(column,),
                ref_table=target,
                ref_columns=(found["column"],),
                on_delete="NO ACTION",
                on_update="NO ACTION",
                set_columns=(),
                deferrable=False,
                deferred=False,
                match="SIMPLE",
            )


def _find_methods(documents: Mapping[str, Document], name: Name) -> Document:
    return _object(_object(documents[name[0]].get("paths")).get(f"/{name[1]}"))


def _group(keys: Iterable[ForeignKey], side: Any) -> Mapping[Name, tuple[ForeignKey, ...]]:
    grouped: defaultdict[Name, tuple[ForeignKey, ...]] = defaultdict(tuple)
    for key in keys:
        grouped[side(key)] += (key,)
    return grouped


# Functions ----------------------------------------------------------------------------------------------


def _read_functions(documents: Mapping[str, Document]) -> Iterator[tuple[Name, tuple[Function, ...]]]:
    for schema, document in documents.items():
        for path, methods in _objects(document.get("paths")):
            if path.startswith("/rpc/"):
                name = (schema, path.removeprefix("/rpc/"))
                yield name, (_read_function(name, methods),)


def _read_function(name: Name, methods: Document) -> Function:
    """Only what may not write answers to GET. One of several that share the name is part; of rows, it may be any."""
    variadic = _list_variadic(methods)
    return Function(
        oid=0,
        schema=name[0],
        name=name[1],
        comment=_text(_object(methods.get("post")), "summary") or None,
        parameters=tuple(_read_parameters(_find_arguments(methods), variadic)),
        return_schema="",
        return_type="",
        returns_set=True,
        returns_composite=False,
        volatility="s" if "get" in methods else "v",
    )


def _read_parameters(arguments: Document, variadic: frozenset[str]) -> Iterator[Parameter]:
    required = arguments.get("required")
    needed = required if isinstance(required, list) else []
    for name, part in _objects(arguments.get("properties")):
        spelled = _read_type(part)
        yield Parameter(
            name=name,
            type=spelled,
            unlimited_type=spelled,
            is_required=name in needed,
            is_variadic=name in variadic,
        )


def _find_arguments(methods: Document) -> Document:
    for parameter in _list_parameters(methods, "post"):
        if parameter.get("in") == "body":
            return _object(parameter.get("schema"))
    return {}


def _list_variadic(methods: Document) -> frozenset[str]:
    many = (one for one in _list_parameters(methods, "get") if one.get("collectionFormat") == "multi")
    return frozenset(_text(one, "name") for one in many)


def _list_parameters(methods: Document, method: str) -> list[Document]:
    parameters = _object(methods.get(method)).get("parameters")
    return [one for one in parameters if isinstance(one, dict)] if isinstance(parameters, list) else []


# What a stranger's document may hold --------------------------------------------------------------------


def _objects(value: Any) -> Iterator[tuple[str, Document]]:
    return ((name, one) for name, one in _object(value).items() if isinstance(one, dict))


def _object(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


def _text(part: Document, name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""
