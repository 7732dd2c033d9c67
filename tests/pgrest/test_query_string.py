"""A query string taken apart and put together again means what it meant."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrest import chooses_rows, join_query, match_rows, parse_request, split_query, split_select, write_name
from pgrest.query.grammar.nodes import Compare, Field, Filter, InList, Logic, SelectField
from pgrest.query.request import Request

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
names = texts.filter(bool)


def parse(query: str) -> Request:
    return parse_request("GET", "/t", query.encode(), [], b"")


@given(st.lists(st.tuples(names, texts), max_size=5))
def test_pairs_come_through(pairs: list[tuple[str, str]]) -> None:
    assert split_query(join_query(pairs).encode()) == pairs


@given(names, st.lists(texts, min_size=1, max_size=4, unique=True))
def test_one_column_is_matched_by_every_value(name: str, values: list[str]) -> None:
    request = parse(join_query(match_rows((name,), [(value,) for value in values])))
    (found,) = request.query.filters
    operation = Compare("eq", values[0]) if len(values) == 1 else InList(tuple(values))
    assert found.filter == Filter(Field(name), operation)


@given(names, names, st.lists(st.tuples(texts, texts), min_size=2, max_size=4))
def test_several_columns_are_matched_row_by_row(first: str, second: str, rows: list[tuple[str, str]]) -> None:
    request = parse(join_query(match_rows((first, second), rows)))
    (found,) = request.query.logic
    assert found.logic == Logic(
        "or",
        tuple(
            Logic("and", (Filter(Field(first), Compare("eq", a)), Filter(Field(second), Compare("eq", b))))
            for a, b in rows
        ),
    )


RESERVED = ("select", "columns", "on_conflict", "order", "limit", "offset", "and", "or", "not")


@pytest.mark.parametrize("name", RESERVED)
def test_a_column_with_the_name_of_a_parameter_is_matched_as_a_column(name: str) -> None:
    for values in ([("5",)], [("5",), ("6",)]):
        (pair,) = match_rows((name,), values)
        assert chooses_rows(pair[0])
        (found,) = parse(join_query([pair])).query.filters
        assert found.filter.field == Field(name)
    rows = [("5", "1"), ("6", "2")]
    (logic,) = parse(join_query(match_rows((name, "id"), rows))).query.logic
    pairs = (
        Logic("and", (Filter(Field(name), Compare("eq", a)), Filter(Field("id"), Compare("eq", b)))) for a, b in rows
    )
    assert logic.logic == Logic("or", tuple(pairs))


def test_no_rows_match_nothing() -> None:
    assert match_rows(("a", "b"), []) == [("a", "in.()")]


@given(st.lists(names, min_size=1, max_size=4))
def test_a_select_list_is_parted_at_its_commas(columns: list[str]) -> None:
    text = ",".join(write_name(name) for name in columns)
    assert split_select(text) == [write_name(name) for name in columns]
    assert parse(join_query([("select", text)])).query.select == tuple(SelectField(Field(name)) for name in columns)


def test_nested_items_stay_whole() -> None:
    assert split_select('*, a:b->"c,d" ,e(f,g(h)),...i(j), "k(",') == [
        "*",
        'a:b->"c,d"',
        "e(f,g(h))",
        "...i(j)",
        '"k("',
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", True),
        ("meta->a->>b", True),
        ("or", True),
        ("not.and", True),
        ("clients.name", False),
        ("clients.or", False),
        ("clients.not.and", False),
        ("select", False),
        ("order", False),
        ("clients.limit", False),
        ("on_conflict", False),
        ('"or"', True),
        ('"a.b"', True),
    ],
)
def test_what_chooses_the_requests_own_rows(name: str, expected: Any) -> None:
    assert chooses_rows(name) is expected
