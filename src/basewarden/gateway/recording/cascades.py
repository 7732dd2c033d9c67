"""What both backends know of cascades: the rows that foreign keys change after a write."""

from collections.abc import Mapping, Sequence

from basewarden.policy import Policy, Refused, decide_cascade
from pgrest import Name, Table

Identity = tuple[str, ...]
"""What tells a row apart in its table: the text of its key, or where it is stored if it has none."""
RowPlace = tuple[Name, Identity]


def check_cascade_table(table: Table, policy: Policy | None) -> None:
    """Raises TableDenied or ReadOnly where a cascade reaches a table that the caller may not change; None allows all.

    A foreign key acts with the rights of the table's owner, so PostgreSQL itself would not refuse it.
    """
    decision = None if policy is None else decide_cascade(policy, table.qualified)
    if isinstance(decision, Refused):
        raise decision.error


def replace_values(identity: Identity, columns: Sequence[str], values: Mapping[str, str]) -> Identity:
    """The identity in `columns` with some of its values replaced."""
    return tuple(values.get(column, value) for column, value in zip(columns, identity, strict=True))
