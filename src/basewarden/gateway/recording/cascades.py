"""What both backends know of cascades: the rows that foreign keys change after a write."""

from collections.abc import Mapping, Sequence

from basewarden.gateway.errors import cascade_denied
from pgrest import Name, Table

Identity = tuple[str, ...]
"""What tells a row apart in its table: the text of its key, or where it is stored if it has none."""
RowPlace = tuple[Name, Identity]

CHANGES_CHILDREN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
"""The actions of a foreign key that change child rows instead of refusing the write."""


def check_cascade_table(table: Table, allowed: frozenset[str] | None) -> None:
    """Raises TableDenied where a cascade reaches a table that the caller may not touch; None allows all."""
    if allowed is not None and ".".join(table.qualified) not in allowed:
        raise cascade_denied()


def replace_values(identity: Identity, columns: Sequence[str], values: Mapping[str, str]) -> Identity:
    """The identity in `columns` with some of its values replaced."""
    return tuple(values.get(column, value) for column, value in zip(columns, identity, strict=True))
