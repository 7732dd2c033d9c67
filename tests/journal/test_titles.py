"""Titles of sessions and writes, in words."""

import pytest

from basewarden.journal import UndoOrigin, VerbCount, describe_changes, describe_session, list_figures


def count(verb: str, table: str, rows: int, schema: str = "public", *, is_cascade: bool = False) -> VerbCount:
    return VerbCount(verb, schema, table, rows, is_cascade)


_WRECK = (
    count("update", "prices", 261),
    count("delete", "customers", 120),
    count("insert", "coupons", 1280),
    count("delete", "addresses", 188, is_cascade=True),
    count("update", "orders", 356, is_cascade=True),
)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ([], ""),
        ([count("update", "prices", 0)], ""),
        ([count("insert", "coupons", 3)], "Added 3 coupons"),
        ([count("update", "prices", 99), count("update", "products", 5)], "Changed 99 prices and 5 products"),
        ([count("delete", "a", 3), count("delete", "b", 2), count("insert", "c", 1)], "Deleted 3 rows of a and 2 rows of b, added 1 row of c"),
        ([count("update", "prices", 1)], "Changed 1 price"),
        ([count("update", "categories", 1)], "Changed 1 category"),
        ([count("update", "addresses", 1)], "Changed 1 address"),
        ([count("update", "boxes", 1)], "Changed 1 box"),
        ([count("update", "branches", 1)], "Changed 1 branch"),
        ([count("update", "caches", 1)], "Changed 1 row of caches"),
        ([count("update", "people", 1)], "Changed 1 person"),
        ([count("update", "series", 1)], "Changed 1 row of series"),
        ([count("update", "statuses", 1)], "Changed 1 row of statuses"),
        ([count("update", "order_items", 1)], "Changed 1 row of order_items"),
        ([count("update", "prices", 261)], "Changed 261 prices"),
        ([count("update", "prices", 1261)], "Changed 1,261 prices"),
        ([count("delete", "order_item", 261)], "Deleted 261 rows of order_item"),
        ([count("delete", "order_items", 2)], "Deleted 2 rows of order_items"),
        ([count("delete", "Orders", 2)], "Deleted 2 rows of Orders"),
        ([count("delete", "address", 2)], "Deleted 2 rows of address"),
        ([count("delete", "status", 2)], "Deleted 2 rows of status"),
        ([count("delete", "analysis", 2)], "Deleted 2 rows of analysis"),
        ([count("delete", "people", 2)], "Deleted 2 people"),
        (_WRECK[:2], "Deleted 120 customers, changed 261 prices"),
        (_WRECK, "Deleted 120 customers, changed 261 prices, and rows of 3 more tables"),
        ([count("delete", "orders", 1), count("insert", "coupons", 5000)], "Added 5,000 coupons, deleted 1 order"),
        ([count("update", "orders", 5), count("delete", "orders", 5)], "Deleted 5 orders, changed 5 orders"),
        ([count("update", "orders", 5), count("update", "orders", 6)], "Changed 11 orders"),
        ([_WRECK[1], _WRECK[3]], "Deleted 120 customers and 188 addresses"),
        ([_WRECK[1], _WRECK[4]], "Deleted 120 customers, changed 356 orders"),
        ([_WRECK[1], *_WRECK[3:]], "Deleted 120 customers and rows of 2 more tables"),
        ([_WRECK[3]], "Deleted 188 addresses"),
        ([count("update", "a", 2, "sales"), count("update", "a", 3)], "Changed 3 rows of public.a and 2 rows of sales.a"),
        ([count("update", "orders", 3, "sales")], "Changed 3 orders"),
        ([count("call", "restock", 1)], "Called function restock"),
        ([count("call", "restock", 4)], "Called function restock 4 times"),
        ([count("call", "restock", 1), count("update", "products", 20)], "Changed 20 products, called function restock"),
        ([count("mixed", "customers", 664)], "Changed 664 rows of customers and other tables"),
        ([count("mixed", "", 664, "")], "Changed 664 rows"),
        ([count("mixed", "a", 9), count("mixed", "", 1, "")], "Changed 9 rows of a and other tables, changed 1 row"),
        ([count("delete", "a\n\u202eb\x00", 2)], "Deleted 2 rows of a b"),
        ([count("delete", "x" * 63, 2)], f"Deleted 2 rows of {'x' * 39}…"),
    ],
)  # fmt: skip
def test_changes_are_described(changes: list[VerbCount], title: str) -> None:
    assert describe_changes(changes) == title


def test_a_schema_is_named_where_there_are_several() -> None:
    changes = [count("update", "orders", 3, "sales")]
    assert describe_changes(changes, schemas=["public", "sales"]) == "Changed 3 rows of sales.orders"


def test_counts_that_are_not_complete_are_described_as_lower_bounds() -> None:
    assert describe_changes(_WRECK[:1], is_partial=True) == "Changed more than 261 prices"


def test_a_label_comes_first() -> None:
    assert describe_session(_WRECK[:1], label="spring-cleaning") == "spring-cleaning: changed 261 prices"
    assert describe_session([], label=" \u202e ") == "No changes"
    assert describe_session(_WRECK[:1], label="a" * 500) == f"{'a' * 59}…: changed 261 prices"


def test_an_undo_names_what_it_undid() -> None:
    title = "Deleted 120 customers"
    assert describe_session([], origin=UndoOrigin(title)) == "Undid “Deleted 120 customers”"
    assert describe_session([], origin=UndoOrigin(title, is_redo=True)) == "Redid “Deleted 120 customers”"
    assert describe_session([], origin=UndoOrigin(title, state="running")) == "Undoing “Deleted 120 customers”"
    assert describe_session([], origin=UndoOrigin(title, state="failed")) == "Failed to undo “Deleted 120 customers”"


def test_a_session_without_known_changes() -> None:
    assert describe_session([], blocked="DELETE orders") == "Blocked: DELETE orders"
    assert describe_session([], unknown=_WRECK[:1]) == "Perhaps changed 261 prices"
    assert describe_session([]) == "No changes"


def test_the_figures_of_a_session_count_all_its_rows() -> None:
    counts = [
        VerbCount("insert", "public", "messages", 1),
        VerbCount("update", "public", "tickets", 1),
        VerbCount("update", "public", "prices", 262),
        VerbCount("delete", "public", "customers", 120),
        VerbCount("insert", "public", "customers", 40),
        VerbCount("update", "public", "coupons", 10),
        VerbCount("update", "public", "tickets", 58, is_cascade=True),
        VerbCount("delete", "public", "orders", 313, is_cascade=True),
        VerbCount("update", "public", "payments", 333, is_cascade=True),
    ]
    assert list_figures(counts) == [
        ("customers", "\u2212120 +40", "deleted, added"),
        ("prices", "~262", "changed"),
        ("coupons", "~10", "changed"),
        ("tickets", "~59", "changed"),
        ("messages", "+1", "added"),
        ("by foreign keys", "\u2212313 ~333", "deleted, changed in orders, payments"),
    ]
    several = [VerbCount("update", "public", f"table_{number}", 10 - number) for number in range(9)]
    figures = list_figures(several)
    assert figures[-1] == ("other tables", "~14", "changed in 4 tables")
    assert sum(int(number[1:]) for _, number, _ in figures) == sum(one.rows for one in several)
