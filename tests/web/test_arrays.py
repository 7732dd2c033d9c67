"""PostgreSQL's text of an array, as pages show it."""

import pytest

from basewarden.web.arrays import read_array, write_array


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


@pytest.mark.parametrize("items", [[], ["a"], ["a b", "c,d", "{e}", "null", 'f"g', "h\\i", ""], ["1", "2"]])
def test_a_list_is_written_so_that_it_is_read_again(items: list[str]) -> None:
    assert read_array(write_array(items)) == items


def test_only_what_needs_quotes_has_them() -> None:
    assert write_array(["washed", "light roast", "NULL"]) == '{washed,"light roast","NULL"}'
