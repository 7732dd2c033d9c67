"""What is said of a query string that does not fit: PostgREST's own words, written down from its answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrest import PgrestError, parse_request
from pgrest.query.grammar import error_grammar
from pgrest.query.grammar.combinators import fits
from pgrest.query.grammar.filters import parse_filter, parse_logic
from pgrest.query.grammar.order import parse_columns, parse_order
from pgrest.query.grammar.scanner import ParseError
from pgrest.query.grammar.select import parse_select
from tests.pgrest import hostile


def read_refusal(query: str, path: str = "/t") -> tuple[str, str]:
    with pytest.raises(PgrestError) as caught:
        parse_request("GET", path, query.encode(), [], b"")
    assert caught.value.code == "PGRST100"
    return caught.value.message, caught.value.details


@pytest.mark.parametrize(
    ("query", "source", "column", "details"),
    [
        ("id=noop.0", "filter (noop.0)", 1, 'unexpected "o" expecting "not" or operator (eq, gt, ...)'),
        ("id=fts().x", "filter (fts().x)", 5, 'unexpected ")" expecting operator (eq, gt, ...)'),
        ("id=is.x", "filter (is.x)", 4, 'unexpected "x" expecting isVal: (null, not_null, true, false, unknown)'),
        ("id=in.5", "filter (in.5)", 4, 'unexpected "5" expecting "("'),
        ("id=in.(5", "filter (in.(5)", 6, 'unexpected end of input expecting "," or ")"'),
        ("id=", "filter ()", 1, 'unexpected end of input expecting "not" or operator (eq, gt, ...)'),
        ("(x=eq.1", "tree path ((x)", 1, 'unexpected "(" expecting field name (* or [a..z0..9_$])'),
        (
            "or=()",
            "logic tree (())",
            4,
            'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)',
        ),
        ("or=(a.in.1)", "logic tree ((a.in.1))", 9, 'unexpected "1" expecting "("'),
        ("or=(a.is.x)", "logic tree ((a.is.x))", 9, 'unexpected "x" expecting isVal: (null, not_null, true, false, unknown)'),
        ("or=(not.xor(a.eq.1))", "logic tree ((not.xor(a.eq.1)))", 8, 'unexpected "x" expecting logic operator (and, or)'),
        ("or=(a.eq.1", "logic tree ((a.eq.1)", 10, 'unexpected end of input expecting "," or ")"'),
        ("order=a.up", "order (a.up)", 3, 'unexpected "u" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
        ("order=a.desc.x", "order (a.desc.x)", 8, 'unexpected "x" expecting "nullsfirst" or "nullslast"'),
        (
            "order=a(b,c)",
            "order (a(b,c))",
            2,
            'unexpected \'(\' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input',
        ),
        ("columns=a,", "columns parameter (a,)", 3, "unexpected end of input expecting field name (* or [a..z0..9_$])"),
        ("columns=a%09b", "columns parameter (a\tb)", 9, 'unexpected "b" expecting ","'),
        ("on_conflict=(", "on_conflict parameter (()", 1, 'unexpected "(" expecting field name (* or [a..z0..9_$])'),
        ("select=a::", "select parameter (a::)", 4, "unexpected end of input expecting letter or digit"),
        ("select=a(b", "select parameter (a(b)", 4, 'unexpected end of input expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input'),
        (
            "select=a!b",
            "select parameter (a!b)",
            2,
            'unexpected \'!\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input',
        ),
        ("select=a->(", "select parameter (a->()", 4, 'unexpected "(" expecting "-", digit or any non reserved character different from: .,>()'),
        ("select=a->>-7x", "select parameter (a->>-7x)", 7, 'unexpected \'x\' expecting digit, "->", "::", ".", "," or end of input'),
        ("select=a%22b", 'select parameter (a"b)', 2, 'unexpected \'"\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input'),
        ("select=%22a", 'select parameter ("a)', 3, 'unexpected end of input expecting "\\\\" or "\\""'),
        ("select=a.b()", "select parameter (a.b())", 3, 'unexpected "b" expecting "sum", "avg", "count", "max" or "min"'),
        ("order=a%0Ab", "order (a\nb)", 2, 'unexpected \'\\n\' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input'),
        # PostgREST ignores these two selects and answers with every column
        ("select=*x", "select parameter (*x)", 2, 'unexpected \'x\' expecting ")", "," or end of input'),
        ("select=...a)b", "select parameter (...a)b)", 5, 'unexpected ")" expecting letter, digit, "-", "!" or "("'),
    ],
)  # fmt: skip
def test_a_fault_has_its_position(query: str, source: str, column: int, details: str) -> None:
    assert read_refusal(query) == (f'"failed to parse {source}" (line 1, column {column})', details)


def test_lines_and_tabs_are_counted() -> None:
    with pytest.raises(ParseError, match=r"\(line 2, column 10\)"):
        parse_filter("id", "in.(\n\tb")
    with pytest.raises(ParseError, match=r"\(line 2, column 10\)"):
        parse_logic("or", "(a.in.(b,\n\t(")


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        ("id=noop&order=a.x&or=(a)&columns=)&select=a::&on_conflict=)", "order"),
        ("id=noop&or=(a)&columns=)&select=a::&on_conflict=)", "logic tree"),
        ("id=noop&columns=)&select=a::&on_conflict=)", "columns"),
        ("id=noop&select=a::&on_conflict=)", "select"),
        ("id=noop&on_conflict=)", "filter"),
        ("a=noop.1&b=noop.2&on_conflict=)", "filter (noop.1)"),
        ("on_conflict=)&limit=1", "on_conflict"),
    ],
)
def test_the_first_of_several_faults_is_postgrests_first(query: str, failure: str) -> None:
    assert read_refusal(query)[0].startswith(f'"failed to parse {failure}')


@pytest.mark.parametrize("value", ["in.5", "is.5", "not.5", "in.(1"])
def test_an_argument_that_begins_like_a_filter_is_refused(value: str) -> None:
    assert read_refusal(f"a={value}", "/rpc/f")[0].startswith(f'"failed to parse filter ({value})"')


@pytest.mark.parametrize("value", ["5", "eq", "fts().x", "isx", "in", "not"])
def test_other_arguments_are_taken_as_they_are(value: str) -> None:
    assert parse_request("GET", "/rpc/f", f"a={value}".encode(), [], b"").query.arguments == (("a", value),)


def test_deep_nesting_is_explained_without_overflow() -> None:
    details = read_refusal("select=" + "a(" * 99 + "b")[1]
    assert details.startswith("unexpected end of input expecting letter")
    assert read_refusal("or=(" + "and(" * 98 + "b")[1].startswith("unexpected end of input expecting letter")
    assert read_refusal("select=" + "a(" * 200 + "b")[1] == "nested deeper than 100 levels"


@pytest.mark.parametrize("query", ["select=a{}", "a{}=eq.1", "order=a{}", "or=(a{}.eq.1)", "select=x(y,a{})"])
def test_a_json_path_is_no_deeper_than_anything_else(query: str) -> None:
    """PostgreSQL's stack would not do for thousands of steps."""
    parse_request("GET", "/t", query.format("->b" * 100).encode(), [], b"")
    assert read_refusal(query.format("->b" * 15_000))[1] == "nested deeper than 100 levels"


_ALPHABET = st.text(alphabet='abc019_*.,:()[]{}<>-!"\\$ \t\n\0é²', max_size=30)


@given(st.one_of(_ALPHABET, st.lists(hostile.selects, max_size=3).map(",".join)))
def test_a_select_of_which_postgrest_reads_something_is_taken(text: str) -> None:
    if error_grammar.select(text, 0).consumed and fits(error_grammar.select, text):
        parse_select(text)


@given(st.one_of(_ALPHABET, hostile.filters))
def test_a_filter_that_postgrest_takes_is_taken(text: str) -> None:
    if fits(error_grammar.filter_value, text):
        parse_filter("a", text)


@given(st.one_of(_ALPHABET, hostile.conditions))
def test_a_tree_that_postgrest_takes_is_taken(text: str) -> None:
    if fits(error_grammar.logic, f"or{text}"):
        parse_logic("or", text)


@given(st.one_of(_ALPHABET, st.lists(hostile.orders, max_size=3).map(",".join)))
def test_an_order_that_postgrest_takes_is_taken(text: str) -> None:
    if fits(error_grammar.order, text):
        parse_order("order", text)


@given(st.one_of(_ALPHABET, st.lists(hostile.names, max_size=3).map(",".join)))
def test_columns_are_taken_or_refused_as_by_postgrest(text: str) -> None:
    assert _is_read(text) == fits(error_grammar.columns, text)


def _is_read(text: str) -> bool:
    try:
        parse_columns(text, "columns")
    except ParseError:
        return False
    return True
