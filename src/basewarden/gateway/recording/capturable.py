"""Which writes can be recorded, and the error for each that cannot."""

from collections.abc import Iterable

from basewarden.gateway.errors import CaptureNotVisible, NotCaptured
from pgrest import Name, Schema, Table, TableKind, UsedFunction

CAPTURED_KINDS: frozenset[TableKind] = frozenset({"table", "partitioned"})


# By the table --------------------------------------------------------------------------------------------


def check_table(table: Table) -> None:
    """Raises NotCaptured for a view or a foreign table: its changes are in other tables."""
    if table.kind not in CAPTURED_KINDS:
        raise not_a_table(table.name)


def check_rules_and_children(schema: Schema, table: Table) -> None:
    """Raises NotCaptured where rewrite rules or inheritance put changes where they are not seen."""
    for name in schema.reaches[table.qualified]:
        if schema.tables[name].has_rules:
            raise NotCaptured(
                f"{'.'.join(name)} has rewrite rules, whose effects cannot be recorded.",
                hint="Use triggers instead: their changes are counted.",
            )
    if table.has_child_tables:
        raise NotCaptured(
            f"Other tables inherit from {table.name}, so its writes cannot be recorded completely.",
            hint="Write to the table that contains the row.",
        )


def not_a_table(name: str) -> NotCaptured:
    return NotCaptured(
        f"{name} is not a table, so its changes cannot be recorded.",
        hint="Write to its base table.",
    )


def tables_not_listed() -> NotCaptured:
    return NotCaptured("This connection's key may not list the project's tables, so a write cannot be recorded.")


def no_such_table(name: str) -> NotCaptured:
    return NotCaptured(f"The project's API has no table {name}.")


def no_row_versions(table: Table) -> NotCaptured:
    return NotCaptured(f"The rows of {table.name} have no row versions, so its writes cannot be recorded.")


def key_may_not_read() -> CaptureNotVisible:
    return CaptureNotVisible(
        "This connection's key may not read this table, so the write cannot be recorded.",
        hint="Use a key that can read every row, such as the service_role key.",
    )


# By the request ------------------------------------------------------------------------------------------


def check_functions(functions: Iterable[UsedFunction]) -> None:
    """Raises NotCaptured where a write calls a volatile function, which may change anything."""
    for function in functions:
        if function.volatility == "v":
            raise NotCaptured(
                f"{function.name[1]} is a volatile function, whose changes within a write cannot be recorded.",
                hint="Call it in a separate request, or declare it STABLE if it only reads.",
            )


def aggregates_returned() -> NotCaptured:
    return NotCaptured("A write that returns aggregates cannot be recorded. Select its rows instead.")


def plan_returned() -> NotCaptured:
    return NotCaptured("A project's API cannot return the plan of a write.")


def inner_join_returned(name: str) -> NotCaptured:
    return NotCaptured(
        "An inner join may hide rows that the write changed, so it cannot be recorded.",
        hint=f"Embed {name} without !inner, or read the rows in a separate request.",
    )


def csv_not_of_columns() -> NotCaptured:
    return NotCaptured(
        "The CSV response of a write can contain only columns.", hint="Request JSON, or select plain columns."
    )


def own_time_zone() -> NotCaptured:
    return NotCaptured(
        "A write with its own time zone cannot be recorded through a project's API.",
        hint="Remove Prefer: timezone, and send times with their offset.",
    )


# By what the write did -----------------------------------------------------------------------------------


def too_few_rows_shown(shown: int, total: int) -> NotCaptured:
    return NotCaptured(f"The project's API returned only {shown} of the {total} affected rows.")


def trigger_deferred() -> NotCaptured:
    return NotCaptured(
        "A trigger defers its changes to the end of the transaction, so they cannot be counted.",
        hint="A deferred trigger must not use SET CONSTRAINTS to defer its effects.",
    )


def changes_not_counted() -> NotCaptured:
    return NotCaptured(
        "Changes by functions and triggers cannot be counted, because track_counts is off.",
        hint="Turn on track_counts in the database.",
    )


def inserted_not_distinguished(table: Name) -> NotCaptured:
    return NotCaptured(
        f"Inserted and updated rows of {table[1]} cannot be distinguished.",
        hint="Functions of the project must not change settings that begin with pgrst.",
    )


def own_rows_not_distinguished(table: Table) -> NotCaptured:
    return NotCaptured(
        f"The rows of {table.name} this request wrote cannot be distinguished from those that triggers wrote.",
        hint="Allow the role to read its inserted rows, or stop triggers from changing other rows of this table.",
    )


def new_values_not_determined(table: Table) -> NotCaptured:
    return NotCaptured(
        f"The new values of some rows of {table.name} could not be determined. Nothing was changed.",
        hint="A trigger changes or moves rows of this table, or the text of its key depends on session settings.",
    )
