"""How the names of tables and functions are spelled in a policy: `schema.table`, and `rpc/schema.function`."""

from collections.abc import Iterable, Mapping

from pgrest import Name, Schema

RPC = "rpc/"


def format_table(name: Name) -> str:
    return ".".join(name)


def format_function(name: Name) -> str:
    return f"{RPC}{format_table(name)}"


def read_name(spelled: str) -> Name:
    """The name of a table, or of a function without `rpc/`."""
    schema, _, local = spelled.partition(".")
    return schema, local


def find_unknown_names(schema: Schema | None, names: Iterable[str]) -> list[str]:
    """Which of these names are of no table and no function; none where the schema is not known."""
    if schema is None:
        return []
    unknown = [name for name in names if not _is_known(schema, name)]
    computed = _list_functions_of_rows(schema) if unknown else frozenset()
    return [name for name in unknown if not (name.startswith(RPC) and read_name(name.removeprefix(RPC)) in computed)]


def find_unknown_columns(schema: Schema | None, columns: Mapping[str, Iterable[str]]) -> list[str]:
    """Which of these columns, by table, there are not; none where the schema is not known."""
    if schema is None:
        return []
    tables = {spelled: schema.tables.get(read_name(spelled)) for spelled in columns}
    return [
        f"{spelled}.{name}"
        for spelled, names in columns.items()
        for name in names
        if (table := tables[spelled]) is None or name not in table.columns
    ]


def _is_known(schema: Schema, spelled: str) -> bool:
    if spelled.startswith(RPC):
        return read_name(spelled.removeprefix(RPC)) in schema.functions
    return read_name(spelled) in schema.tables


def _list_functions_of_rows(schema: Schema) -> frozenset[Name]:
    """Those that are computed columns or relationships: some cannot be called by themselves."""
    columns = (one.function for found in schema.computed_columns.values() for one in found)
    relationships = (one.function for found in schema.relationships.values() for one in found)
    return frozenset(name for name in (*columns, *relationships) if name is not None)
