"""Folding, without a database."""

import json
from collections.abc import Mapping

from basewarden.journal import Image, RowChange, UncapturedChanges, Verb
from basewarden.undo.planning.fold import Folded, RecordedWrite, fold_writes
from basewarden.undo.planning.selection import identify, keep_rows

Row = Mapping[str, str | None] | None


def image(row: Row) -> Image | None:
    return None if row is None else Image(row, json.dumps(row).encode())


def change(before: Row, after: Row, sets: tuple[str, ...] | None = None, key: tuple[str, ...] = ("id",)) -> RowChange:
    verb: Verb = "insert" if before is None else "delete" if after is None else "update"
    return RowChange("public", "t", verb, key, image(before), image(after), "request", sets)


def fold(*writes: RowChange | tuple[RowChange, ...]) -> Folded:
    """Each argument is one write."""
    return fold_writes(
        [
            RecordedWrite("committed", "update", "public", "t", made if isinstance(made, tuple) else (made,))
            for made in writes
        ]
    )


def row(key: str, x: str | None = "a", y: str | None = "b") -> dict[str, str | None]:
    return {"id": key, "x": x, "y": y}


def test_a_chain_of_updates_is_one_change() -> None:
    (net,) = fold(change(row("1"), row("1", "c")), change(row("1", "c"), row("1", "d", "e"))).changes
    assert {name: (item.old, item.new) for name, item in net.columns.items()} == {"x": ("a", "d"), "y": ("b", "e")}


def test_there_and_back_is_nothing() -> None:
    assert fold(change(row("1"), row("1", "c")), change(row("1", "c"), row("1"))).changes == ()
    assert fold(change(None, row("1")), change(row("1"), None)).changes == ()
    assert fold(change(row("1"), None), change(None, row("1"))).changes == ()


def test_delete_and_insert_of_the_same_key_is_an_update() -> None:
    (net,) = fold(change(row("1"), row("1", "c")), change(row("1", "c"), None), change(None, row("1", "z"))).changes
    assert net.verb == "update"
    assert {name: (item.old, item.new) for name, item in net.columns.items()} == {"x": ("a", "z")}


def test_a_row_is_followed_through_its_keys() -> None:
    (net,) = fold(change(row("1"), row("2")), change(row("2"), row("3", "c")), change(row("3", "c"), None)).changes
    assert (net.verb, net.key_before, net.before) == ("delete", ("1",), row("1"))


def test_one_of_two_rows_that_had_the_same_key_in_one_write_is_chosen_alone() -> None:
    folded = fold((change(row("6"), None), change(row("5", "c"), row("6", "c"))))
    for net in folded.changes:
        assert keep_rows(folded, {identify(net)}).changes == (net,)
    assert keep_rows(folded, {("insert", "public", "t", '["6"]')}).changes == folded.changes


def test_keys_swapped_in_one_write() -> None:
    nets = fold((change(row("1"), row("2")), change(row("2", "c"), row("1", "c")))).changes
    assert [(net.key_before, net.key_after) for net in nets] == [(("1",), ("2",)), (("2",), ("1",))]


def upsert(*changes: RowChange) -> list[tuple[Row, Row]]:
    nets = fold_writes([RecordedWrite("committed", "insert", "public", "t", changes)]).changes
    return [(net.before, net.after) for net in nets]


def test_an_upsert_that_moves_a_row_and_fills_its_key_changes_the_key_in_place() -> None:
    assert upsert(change(row("1"), row("8")), change(None, row("1", "n"))) == [
        (row("1"), row("1", "n")),
        (None, row("8")),
    ]


def test_an_upsert_that_moves_rows_along_a_chain_changes_each_key_in_place() -> None:
    moves = [change(row("1"), row("8")), change(row("2", "c"), row("1", "c")), change(None, row("2", "n"))]
    kept = [(row("1"), row("1", "c")), (row("2", "c"), row("2", "n")), (None, row("8"))]
    assert sorted(upsert(*moves), key=repr) == sorted(kept, key=repr)
    assert sorted(upsert(*reversed(moves)), key=repr) == sorted(kept, key=repr)


def test_an_upsert_that_moves_a_row_to_a_free_key_is_a_move() -> None:
    assert upsert(change(row("1"), row("8")), change(None, row("2"))) == [(row("1"), row("8")), (None, row("2"))]


def test_a_deleted_rows_place_taken_by_a_moved_one() -> None:
    gone, moved = fold(change(row("1"), None), change(row("2", "c"), row("1", "c"))).changes
    assert (gone.verb, gone.key_before) == ("delete", ("1",))
    assert (moved.verb, moved.key_before, moved.key_after) == ("update", ("2",), ("1",))


def test_another_clients_edit_in_between() -> None:
    (other_column,) = fold(change(row("1"), row("1", "c")), change(row("1", "c", "h"), row("1", "d", "h"))).changes
    assert other_column.gap_columns == ()
    assert set(other_column.columns) == {"x"}
    (same_column,) = fold(change(row("1"), row("1", "c")), change(row("1", "h"), row("1", "d"))).changes
    assert same_column.gap_columns == ("x",)
    (before_delete,) = fold(change(row("1"), row("1", "c")), change(row("1", "c", "h"), None)).changes
    assert before_delete.before == row("1", "a", "h")
    (inserted,) = fold(change(None, row("1")), change(row("1", "a", "h"), row("1", "c", "h"))).changes
    assert inserted.is_replaced
    (replaced,) = fold(change(row("1"), None), change(row("1", "h"), row("1", "c"))).changes
    assert replaced.is_replaced
    (lost,) = fold(change(row("1"), row("1", "c")), change(None, row("1", "n"))).changes
    assert lost.is_replaced


def test_another_client_took_over_a_row_that_the_session_made_and_deleted() -> None:
    (net,) = fold(change(None, row("1")), change(row("1"), None), change(row("1", "h"), row("1", "c"))).changes
    assert (net.verb, net.is_replaced) == ("update", False)
    assert net.columns["x"].old == "h"


def test_stamps() -> None:
    (net,) = fold(
        change(row("1"), row("1", "c", "t1"), ("x",)), change(row("1", "c", "t2"), row("1", "d", "t3"), ("x",))
    ).changes
    assert net.columns["y"].is_trigger_set
    assert net.columns["y"].old == "t2"
    assert net.gap_columns == ()
    (named,) = fold(
        change(row("1"), row("1", "c", "t1"), ("x",)), change(row("1", "c", "t1"), row("1", "c", "z"), ("y",))
    ).changes
    assert not named.columns["y"].is_trigger_set
    assert not fold(change(row("1"), row("1", "c"))).changes[0].columns["x"].is_trigger_set


def test_what_cannot_be_undone() -> None:
    writes = [
        RecordedWrite("committed", "insert", "public", "t", (change(None, row("1"), key=()),)),
        RecordedWrite("unknown", "insert", "public", "t", (change(None, row("2")), change(None, row("3")))),
        RecordedWrite(
            "committed",
            "call",
            "public",
            "f",
            (),
            (UncapturedChanges("public", "u", 1, 2000, 0),),
        ),
    ]
    folded = fold_writes(writes)
    assert folded.changes == ()
    assert folded.irreversible == (
        "2 rows of writes whose outcome is unknown.",
        "1 row of public.t, a table without a primary key.",
        "1 call of the function public.f.",
        "1 row inserted in public.u by functions or triggers, not recorded.",
        "2,000 rows updated in public.u by functions or triggers, not recorded.",
    )
