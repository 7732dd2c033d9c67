"""The parsers: what they read, what they say when they cannot, and that they raise nothing else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrest import PgrestError, parse_request
from pgrest.query.grammar.filters import parse_filter, parse_logic
from pgrest.query.grammar.media import CSV, JSON, parse_accept, parse_media_type
from pgrest.query.grammar.nodes import (
    Compare,
    Field,
    Filter,
    InList,
    IsTest,
    JsonStep,
    Logic,
    OrderTerm,
    SelectField,
    SelectRelation,
    TextSearch,
)
from pgrest.query.grammar.order import parse_order
from pgrest.query.grammar.prefer import parse_preferences
from pgrest.query.grammar.scanner import ParseError
from pgrest.query.grammar.select import parse_select


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("id", SelectField(Field("id"))),
        ("short:long_name", SelectField(Field("long_name"), alias="short")),
        ("id::text", SelectField(Field("id"), cast="text")),
        ('"odd, name"', SelectField(Field("odd, name"))),
        ("data->a->>1", SelectField(Field("data", (JsonStep("->", "a"), JsonStep("->>", "1", is_index=True))))),
        ("data->-1", SelectField(Field("data", (JsonStep("->", "-1", is_index=True),)))),
        ("d:price.sum()::int", SelectField(Field("price"), "d", None, "sum", "int")),
        ("count()", SelectField(Field("*"), None, None, "count")),
        ("my-col", SelectField(Field("my-col"))),
    ],
)
def test_select_reads_a_field(text: str, field: SelectField) -> None:
    assert parse_select(text) == (field,)


def test_select_reads_nested_relations_with_hints_and_joins() -> None:
    items = parse_select("*,best:clients!fk!inner(id, ...owner(name)), tags!left()")
    owner = SelectRelation("owner", (SelectField(Field("name")),), is_spread=True)
    clients = SelectRelation("clients", (SelectField(Field("id")), owner), "best", "fk", "inner")
    assert items == (SelectField(Field("*")), clients, SelectRelation("tags", (), join="left"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eq.5", Filter(Field("c"), Compare("eq", "5"))),
        ("not.gte.5", Filter(Field("c"), Compare("gte", "5"), negated=True)),
        ("like(any).{a*,b}", Filter(Field("c"), Compare("like", "{a*,b}", "any"))),
        ('in.(1,"a,b",c)', Filter(Field("c"), InList(("1", "a,b", "c")))),
        ("in.()", Filter(Field("c"), InList(("",)))),
        ("is.NULL", Filter(Field("c"), IsTest("null"))),
        ("fts(english).cat", Filter(Field("c"), TextSearch("fts", "cat", "english"))),
        ("eq.", Filter(Field("c"), Compare("eq", ""))),
        ("eq.a.b,c)", Filter(Field("c"), Compare("eq", "a.b,c)"))),
    ],
)
def test_filter_reads_every_kind_of_operation(value: str, expected: Filter) -> None:
    read = parse_filter("clients.c", value)
    assert (read.path, read.filter) == (("clients",), expected)


def test_logic_reads_nested_trees() -> None:
    read = parse_logic("a.not.or", '(x.eq.1,and(y.in.(1,2),z.not.is.null),w.eq."q,)")')
    both = Logic("and", (Filter(Field("y"), InList(("1", "2"))), Filter(Field("z"), IsTest("null"), negated=True)))
    quoted = Filter(Field("w"), Compare("eq", "q,)"))
    assert read.path == ("a",)
    assert read.logic == Logic("or", (Filter(Field("x"), Compare("eq", "1")), both, quoted), negated=True)


def test_order_reads_directions_nulls_and_relations() -> None:
    terms = parse_order("order", "a.desc.nullslast,b->c.asc,rel(d).nullsfirst")[1]
    assert terms == (
        OrderTerm(Field("a"), "desc", "nullslast"),
        OrderTerm(Field("b", (JsonStep("->", "c"),)), "asc"),
        OrderTerm(Field("d"), None, "nullsfirst", "rel"),
    )


@pytest.mark.parametrize(
    ("value", "where", "details"),
    [
        ("noop.0", 1, 'unexpected "o" expecting "not" or operator (eq, gt, ...)'),
        ("eq().x", 4, 'unexpected ")" expecting operator (eq, gt, ...)'),
        ("in.1", 4, 'unexpected "1" expecting "("'),
    ],
)
def test_a_bad_filter_says_what_was_wanted_where(value: str, where: int, details: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse_filter("c", value)
    assert raised.value.message == f'"failed to parse filter ({value})" (line 1, column {where})'
    assert raised.value.details == details


def test_a_bad_order_names_the_place_after_what_was_understood() -> None:
    with pytest.raises(ParseError) as raised:
        parse_order("order", "id.asc.nullslasttt")
    assert "column 17" in raised.value.message
    assert raised.value.details == "unexpected 't' expecting \",\" or end of input"


@pytest.mark.parametrize("nested", ["a(" * 5000, "a" + "->b" * 2 + "(" * 5000])
def test_deep_nesting_is_refused_not_overflowed(nested: str) -> None:
    with pytest.raises(ParseError):
        parse_select(nested)
    with pytest.raises(ParseError):
        parse_logic("or", "(" + "and(" * 5000)


ALPHABET = st.text(alphabet='abc019_*.,:()[]{}<>-!"\\$ \t\n\0éß\x7f&=%+;/', max_size=40)


@given(ALPHABET, ALPHABET, st.sampled_from(["", "eq.", "in.(", "not.", "and(", "a:b!", "->", "is."]))
def test_parsing_raises_nothing_but_its_own_error(key: str, value: str, prefix: str) -> None:
    text = prefix + value
    for parse, arguments in (
        (parse_select, (text,)),
        (parse_filter, (key, text)),
        (parse_logic, (key, text)),
        (parse_order, (key, text)),
    ):
        with contextlib.suppress(ParseError):
            parse(*arguments)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"]),
    st.sampled_from(["/", "/t", "/rpc/f", "/a/b/c"]),
    st.binary(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from([b"prefer", b"accept", b"range", b"content-type", b"accept-profile", b"cookie"]),
            st.binary(max_size=30),
        ),
        max_size=4,
    ),
    st.binary(max_size=60),
)
def test_any_request_is_read_or_refused(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    with contextlib.suppress(PgrestError):
        parse_request(method, path, query, headers, body)


def test_preferences_count_once_and_list_the_invalid() -> None:
    read = parse_preferences(
        ["count=exact, return=minimal", "count=planned,odd,max-affected=5,timezone=Nowhere"],
        allow_tx=False,
        is_timezone=lambda name: name == "UTC",
    )
    assert (read.count, read.returning, read.max_affected) == ("exact", "minimal", 5)
    assert read.invalid == ("odd", "timezone=Nowhere")
    assert read.applied == "return=minimal, count=exact"


def test_accept_is_ordered_by_quality_then_specificity() -> None:
    assert parse_accept("*/*, text/csv;q=0.5, application/json")[0] == JSON
    assert parse_accept("text/csv, application/json;q=0.9")[0] == CSV
    assert parse_media_type('application/vnd.pgrst.plan+json; for="text/csv"; options=analyze').plan
