"""Bodies and query strings that are long: read to the same end as short ones, in bounded steps."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrest import PgrestError, parse_request
from pgrest.query.csv_rows import MOST_FIELDS
from pgrest.query.grammar import media, scanner
from pgrest.query.json_slices import MOST_KEYS, KeysDiffer, decode_rows, find_object_keys, find_row_keys
from pgrest.query.payload import LARGE_BODY_BYTES, MOST_FORM_FIELDS, Payload, parse_payload
from pgrest.query.request import MOST_PARAMETERS

_NASTY = st.text(alphabet='a{}[],:"\\ \n', max_size=12)
_VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), _NASTY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NASTY, inner, max_size=3)),
    max_leaves=6,
)
_ROWS = st.lists(st.one_of(st.fixed_dictionaries({"a": _VALUES, "b{": _VALUES}), st.dictionaries(_NASTY, _VALUES)))
_STYLES = st.sampled_from([{"separators": (",", ":")}, {"indent": 1}, {"separators": (" , ", " : ")}])
_MANY = settings(max_examples=300, deadline=None)


def _refusal(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except msgspec.DecodeError:
        return "no JSON"
    except KeysDiffer:
        return "keys differ"


def _keys_at_once(body: bytes) -> Any:
    try:
        rows = json.loads(body)
    except ValueError:
        return "no JSON"
    if not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        return "keys differ"
    return frozenset(rows[0]) if rows else None


@_MANY
@given(st.one_of(_ROWS, st.lists(_VALUES)), _STYLES, st.integers(1, 60))
def test_rows_in_slices_are_the_rows(rows: list[Any], style: dict[str, Any], size: int) -> None:
    body = json.dumps(rows, **style).encode()
    assert _refusal(lambda: find_row_keys(body, size)) == _keys_at_once(body)
    assert [row for part in decode_rows(body, size) for row in part] == json.loads(body)


@_MANY
@given(st.dictionaries(_NASTY, _VALUES), _STYLES, st.integers(1, 60))
def test_an_object_in_slices_is_the_object(row: dict[str, Any], style: dict[str, Any], size: int) -> None:
    assert find_object_keys(json.dumps(row, **style).encode(), size) == frozenset(row)


@_MANY
@given(_ROWS.filter(len), st.integers(1, 60), st.data())
def test_what_is_no_json_is_refused_wherever_it_is_broken(rows: list[Any], size: int, data: st.DataObject) -> None:
    whole = json.dumps(rows, separators=(",", ":"))
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = (whole[:at] + data.draw(st.sampled_from(["", ",", "}", "]", '"', "x"])) + whole[at + 1 :]).encode()
    if broken.startswith(b"["):
        assert _refusal(lambda: find_row_keys(broken, size)) == _keys_at_once(broken)


@pytest.mark.parametrize("broken", [b'[{"a":1},]', b'[,{"a":1}]', b'[{"a":1},,{"a":1}]', b'[{"a":1}] x', b"["])
@pytest.mark.parametrize("size", [1, 5, 8, 1000])
def test_commas_that_nothing_follows(broken: bytes, size: int) -> None:
    with pytest.raises(msgspec.DecodeError):
        find_row_keys(broken, size)


def test_a_large_body_is_read_as_a_small_one_is() -> None:
    rows = [{"id": n, "note": 'x},{"y' * 5} for n in range(5000)]
    body = json.dumps(rows).encode()
    assert len(body) > 2 * LARGE_BODY_BYTES
    assert parse(body) == Payload(body, frozenset({"id", "note"}))
    for other, message in (({"id": 1}, "All object keys must match"), (7, "All object keys must match")):
        assert refuse(json.dumps([*rows, other]).encode()) == (400, message)
    assert refuse(body[:-1]) == (400, "Empty or invalid json")
    assert parse(b"[" + b" " * LARGE_BODY_BYTES + b"]").keys == frozenset()


def test_an_object_with_more_keys_than_any_table_has_columns() -> None:
    body = json.dumps({f"k{n:06}": n for n in range(20_000)}).encode()
    assert parse(body).keys == frozenset(f"k{n:06}" for n in range(MOST_KEYS))


def test_csv_is_bounded_by_its_fields_and_not_only_by_its_bytes() -> None:
    assert refuse(b"1\n" * (MOST_FIELDS + 2), media.CSV) == (413, "The body has too many fields")
    assert refuse(b"a\n" + b"," * 300_000, media.CSV) == (413, "The body has too many fields in one line")
    assert refuse(b",".join([b"a"] * 3000) + b"\n", media.CSV) == (413, "The body has too many columns")
    assert refuse(b"a" * 100_000 + b"\n" + b"1\n" * 1000, media.CSV) == (413, "The body has too many bytes as JSON")


@_MANY
@given(st.lists(st.lists(st.text(alphabet='a",\r\n0', max_size=5), min_size=2, max_size=2), min_size=1))
def test_csv_rows_are_those_of_the_text(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    read = json.loads(parse(text.getvalue().encode(), media.CSV).body)
    assert [list(row.values()) for row in read] == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a\nb"c\n', r'parse error (Failed reading: satisfy) at "\"c\n"'),
        ('a\n"b"c\n', r'parse error (Failed reading: satisfy) at "c\n"'),
        ('a\n"b', 'parse error (not enough input) at ""'),
        ("a,b\n1\n", "All lines must have same number of fields"),
    ],
)
@pytest.mark.parametrize("before", ["", 'x\n"y""z"\n' * 30_000])
def test_csv_that_is_none(before: str, text: str, message: str) -> None:
    assert refuse((before + text).encode(), media.CSV) == (400, message)


@pytest.mark.parametrize("text", ["", "a"])
def test_csv_without_a_whole_line_is_none(text: str) -> None:
    assert refuse(text.encode(), media.CSV) == (400, 'parse error (not enough input) at ""')


def test_a_form_is_bounded_by_its_fields() -> None:
    assert refuse(b"a=1&" * MOST_FORM_FIELDS + b"a=1", media.FORM) == (413, "The body has too many fields")
    assert parse(b"&".join(b"a%d=1" % n for n in range(500)), media.FORM).keys == {f"a{n}" for n in range(500)}


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet="a%&é€ +"), st.integers(0, 3))
def test_escapes_are_never_cut_in_two(end: str, shift: int) -> None:
    value = "a" * shift + "%é" * 40_000 + end
    (row,) = [json.loads(parse(f"v={quote_plus(value)}".encode(), media.FORM).body)]
    assert row == {"v": value}


def test_a_query_string_has_a_thousand_parameters_at_most() -> None:
    query = [f"a{n}=1" for n in range(MOST_PARAMETERS)]
    assert len(ask("/rpc/f", "&".join(query)).query.arguments) == MOST_PARAMETERS
    with pytest.raises(PgrestError) as caught:
        ask("/rpc/f", "&".join([*query, "b=1"]))
    assert (caught.value.status, caught.value.code) == (400, "PGRST100")


def test_arguments_are_distinguished_from_filters_without_composing_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wording one takes fifty times as long as reading the value."""

    def complain(*_: Any) -> Any:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(scanner, "complain", complain)
    assert ask("/rpc/f", "a=1&b=eq.2").query.arguments == (("a", "1"),)


@pytest.mark.parametrize(
    "query", ["select=" + "a," * 2000 + "a", "order=" + "a," * 2000 + "a", "or=(" + "a.eq.1," * 2000 + ")"]
)
def test_lists_end(query: str) -> None:
    with pytest.raises(PgrestError, match="failed to parse") as caught:
        ask("/t", query)
    assert caught.value.details == "more than 2000 items"


def test_a_long_text_is_refused_in_few_words() -> None:
    with pytest.raises(PgrestError) as caught:
        ask("/t", "or=(" + "a.in.(1,2,3,4,5,6,7,8,9)," * 1000 + "(")
    assert (caught.value.status, caught.value.code) == (400, "PGRST100")
    assert len(caught.value.message) < 300


def ask(path: str, query: str) -> Any:
    return parse_request("GET", path, query.encode(), [], b"")


def parse(body: bytes, content_type: media.MediaType = media.JSON) -> Payload:
    return parse_payload(body, content_type, None, is_call=False)


def refuse(body: bytes, content_type: media.MediaType = media.JSON) -> tuple[int, str]:
    with pytest.raises(PgrestError) as caught:
        parse(body, content_type)
    return caught.value.status, caught.value.message
