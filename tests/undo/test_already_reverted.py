"""Which rows are reverted already, where rows of a session have followed each other to the same keys."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from basewarden.journal import Image
from basewarden.undo.planning.already_reverted import RowsByTable, find_reverted
from basewarden.undo.planning.fold import ColumnChange, NetChange
from pgrest import Column, Schema, Table

NAME = ("public", "t")
Rows = Mapping[str, str]


def make_schema() -> Schema:
    columns = {name: Column(name, place, "text", "text", "S", nullable=True) for place, name in enumerate(("id", "x"))}
    table = Table(
        oid=1,
        schema="public",
        name="t",
        kind="table",
        columns=columns,
        primary_key=("id",),
        unique_keys=(),
        key=("id",),
        foreign_keys_out=(),
        foreign_keys_in=(),
        triggers=(),
        rls_enabled=False,
        rls_forced=False,
        owner="o",
        comment=None,
        insertable=True,
        updatable=True,
        deletable=True,
        is_partition=False,
    )
    return Schema(("public",), {NAME: table})


def change(before: str | None, after: str | None, x: str) -> NetChange:
    """A row `x` that was at one key and is at another."""
    values = [None if key is None else {"id": key, "x": x} for key in (before, after)]
    columns = {"id": ColumnChange(before, after, is_trigger_set=False)} if before and after else {}
    return NetChange("public", "t", ("id",), values[0], values[1], columns, b"{}")


def list_reverted(rows: Rows, *changes: NetChange) -> list[int]:
    found: RowsByTable = {NAME: {(key,): Image({"id": key, "x": x}, b"{}") for key, x in rows.items()}}
    return sorted(find_reverted(changes, make_schema(), found))


CHAIN = (change("4", "8", "a"), change("1", "4", "b"))
SWAP = (change("1", "2", "a"), change("2", "1", "b"))
REPLACED = (change("4", "8", "a"), change(None, "4", "new"))
TAKEN = (change("4", None, "gone"), change("1", "4", "b"))


@pytest.mark.parametrize(
    ("changes", "rows", "back"),
    [
        (CHAIN, {"8": "a", "4": "b"}, []),
        (CHAIN, {"8": "a", "1": "b"}, [1]),
        (CHAIN, {"4": "a", "1": "b"}, [0, 1]),
        (CHAIN, {"4": "b"}, []),  # one was deleted, and the other still has its key
        (CHAIN, {"4": "b", "1": "b"}, []),
        (SWAP, {"2": "a", "1": "b"}, []),
        (SWAP, {"1": "a", "2": "b"}, [0, 1]),
        (SWAP, {"1": "a"}, [0]),
        (REPLACED, {"8": "a", "4": "new"}, []),
        (REPLACED, {"8": "a"}, [1]),
        (REPLACED, {"4": "a"}, [0, 1]),
        (REPLACED, {"4": "new"}, []),
        (TAKEN, {"4": "b"}, []),
        (TAKEN, {"1": "b"}, [1]),
        (TAKEN, {"4": "gone", "1": "b"}, [0, 1]),
        ((change("4", None, "gone"),), {"4": "other"}, []),
        ((change("1", "4", "b"),), {"1": "edited since"}, []),
    ],
)
def test_list_reverted(changes: tuple[NetChange, ...], rows: Rows, back: list[int]) -> None:
    assert list_reverted(rows, *changes) == back


def test_a_stamp_that_could_not_go_back_does_not_count() -> None:
    moved = change("1", "4", "b")
    overwritten = replace(moved, columns={**moved.columns, "x": ColumnChange("b", "later", is_trigger_set=True)})
    assert list_reverted({"1": "later still"}, overwritten) == [0]
    assert list_reverted({"1": "later still"}, moved) == []


def test_what_is_torn_is_not_back() -> None:
    assert list_reverted({"1": "b"}, replace(change("1", "4", "b"), is_replaced=True)) == []
