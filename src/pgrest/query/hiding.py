"""What a request may do where some columns are hidden from its caller: a masked one is shown, and nothing else is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pgrest import errors
from pgrest.query.grammar.nodes import SelectField, SelectRelation
from pgrest.query.grammar.prefer import Counting
from pgrest.query.tree import ColumnRef, Mask, OrderBy, Output
from pgrest.schema.model import ColumnRules, Function, Relationship, Schema, Table
from pgrest.schema.relations import find_relationship

MASK_TEXT = "•••"
SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
WHOLE_ROW = "*"
_TEXT = "S"  # the category of a column's type
_AMBIGUOUS = "PGRST201"


def is_hidden(rules: ColumnRules | None, name: str) -> bool:
    """System columns tell where a row lies, which depends on how large its values are.

    A row as a whole has the hidden ones in it; so a column that is called `*` cannot be shown.
    """
    return rules is not None and (name in rules.hidden or name in SYSTEM_COLUMNS or name == WHOLE_ROW)


def check_shown(schema: Schema, table: Table, names: Iterable[str]) -> None:
    """Raises PgrestError for the first hidden one."""
    rules = schema.find_column_rules(table.qualified)
    if rules is not None:
        for name in names:
            if name in rules.hidden:
                raise errors.column_denied(name)


def mask_output(one: SelectField, table: Table | None, *, sums_up: bool) -> Output:
    """A masked column may be shown, and nothing may be made of it. Raises PgrestError."""
    if one.field.path or one.cast or one.aggregate or sums_up:
        raise errors.column_denied(one.field.name)
    known = table.columns.get(one.field.name) if table is not None else None
    mask = Mask(MASK_TEXT if known is not None and known.category == _TEXT else None)
    return Output(ColumnRef(one.field.name, mask=mask), alias=one.alias or one.field.name)


def make_tie_breakers(table: Table, order: Sequence[OrderBy]) -> tuple[OrderBy, ...]:
    """The columns of the key that rows are not ordered by already."""
    named = {one.column.name for one in order if one.relation is None and not one.column.path}
    keys = (table.columns[name] for name in table.primary_key if name not in named)
    return tuple(OrderBy(ColumnRef(key.name, own_operators=key.own_operators), None, None) for key in keys)


def find_shown_relationship(schema: Schema, namespace: str, origin: str, item: SelectRelation) -> Relationship:
    """As `find_relationship`. Raises a refusal where there would be one through hidden columns."""
    try:
        return find_relationship(schema, namespace, origin, item.name, item.hint)
    except errors.PgrestError:
        if schema.has_column_rules and _is_hidden_relationship(schema, namespace, origin, item):
            raise errors.column_denied(item.name) from None
        raise


def _is_hidden_relationship(schema: Schema, namespace: str, origin: str, item: SelectRelation) -> bool:
    whole = replace(schema, relationships=schema.relationships_of_all_columns)
    try:
        find_relationship(whole, namespace, origin, item.name, item.hint)
    except errors.PgrestError as error:
        return error.code == _AMBIGUOUS
    return True


def check_rows(schema: Schema, function: Function) -> None:
    """Raises PgrestError for rows of a table in another schema: they are not known to be that table's."""
    rows = (function.return_schema, function.return_type)
    if rows != function.answer and schema.find_column_rules(rows) is not None:
        raise errors.column_denied(function.name)


def choose_count(schema: Schema, asked: Counting | None) -> Counting | None:
    """The planner's guess depends on how large the values of all columns are, hidden ones too."""
    return "exact" if asked is not None and schema.has_column_rules else asked
