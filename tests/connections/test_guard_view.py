"""What the guard's pages show of a table: what was found stays in sight beside a mark, and what is exposed is known."""

import pytest

from basewarden.connections.guard.findings import GuardedTable
from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.guard.view import show_table
from basewarden.connections.models import ColumnMark, GuardMode, TableMark

PEOPLE = GuardedTable("public.people", ("email",), ("anon",), (), ("id", "email"), ("email",))


def test_a_mark_leaves_in_sight_what_was_found() -> None:
    marks = {"public.people": {"email": ColumnMark.NOT_SENSITIVE, "id": ColumnMark.SENSITIVE}}
    table = show_table(PEOPLE, GuardOptions(GuardMode.BLOCK, columns=marks), is_listed=True)
    assert {one.name: (one.was_found, one.mark) for one in table.columns} == {
        "email": (True, "not_sensitive"),
        "id": (False, "sensitive"),
    }


@pytest.mark.parametrize(
    ("options", "is_exposed"),
    [
        (GuardOptions(GuardMode.BLOCK), True),
        (GuardOptions(GuardMode.BLOCK, columns={"public.people": {"email": ColumnMark.NOT_SENSITIVE}}), False),
        (GuardOptions(GuardMode.BLOCK, tables={"public.people": TableMark.NOT_PUBLIC}), False),
    ],
)
def test_a_table_is_exposed_where_strangers_read_what_is_sensitive(options: GuardOptions, is_exposed: bool) -> None:
    assert show_table(PEOPLE, options, is_listed=True).is_exposed is is_exposed
