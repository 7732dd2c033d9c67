"""PostgreSQL's text of an array, as pages show it."""

import pytest

from basewarden.web.arrays import read_array


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("{}", []),
        ("{base,bulb}", ["base", "bulb"]),
        ('{"a, b",NULL,"NULL"}', ["a, b", None, "NULL"]),
        (r'{"a\"b\\c",""}', ['a"b\\c', ""]),
        ("{1,2.5}", ["1", "2.5"]),
    ],
)
def test_a_list_is_read(text: str, elements: list[str | None]) -> None:
    assert read_array(text) == elements


@pytest.mark.parametrize("text", ["", "{", "{{1,2},{3,4}}", "[0:1]={1,2}", "{a,", "{a,}", "{,}", '{"a}', '{"a"b}'])
def test_anything_else_stays_a_text(text: str) -> None:
    assert read_array(text) is None
