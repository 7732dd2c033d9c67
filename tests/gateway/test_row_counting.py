"""How many rows an answer holds, whatever form and size it has."""

import json
from typing import Any

import pytest

from basewarden.gateway.row_counting import count_rows
from pgrest import LARGE_BODY_BYTES, PgrestError, Request, parse_request


def _parse(select: str) -> Request:
    return parse_request("GET", "/t", f"select={select}".encode(), [], b"")


@pytest.mark.parametrize(
    ("select", "rows", "expected"),
    [
        ("id", [{"id": 1}, {"id": 2}], 2),
        ("id", {"id": 1}, 1),
        ("id", [], 0),
        ("id,a(id)", [{"id": 1, "a": [{"id": 2}, {"id": 3}]}, {"id": 4, "a": []}], 4),
        ("id,a(id)", [{"id": 1, "a": None}, {"id": 1, "a": {"id": 2}}], 3),
        ("id,x:a(b(c(d)))", [{"id": 1, "x": [{"b": [{"c": [{"d": 1}]}]}]}], 4),
        ("id,...a(n)", [{"id": 1, "n": 5}], 2),
        ("id,...a(n)", [{"id": 1, "n": [5, 6, 7]}], 4),
        ("id,b(id),...a(n)", [{"id": 1, "b": [{"id": 1}] * 9, "n": 5}], 11),
        ("id,...a(n,b(c(id)))", [{"id": 1, "n": 5, "b": [{"c": [{"id": 1}, {"id": 2}]}, {"c": []}]}], 6),
        ("id,...a(...b(n))", [{"id": 1, "n": [[5, 6], [7]]}], 5),
        ("id,...a(b(id))", [{"id": 1, "b": [[{"id": 1}], [{"id": 2}, {"id": 3}]]}], 5),
    ],
)
async def test_related_rows_are_counted_at_every_depth(select: str, rows: Any, expected: int) -> None:
    body = json.dumps(rows).encode()
    assert await count_rows(_parse(select), body, "application/json; charset=utf-8") == expected


@pytest.mark.parametrize(
    ("select", "body", "least"),
    [
        ("x:a(id),x:id", b'[{"x": [{"id": 1}, {"id": 2}], "x": 7}]', 3),
        ("x:a(id),*", b'[{"x": [{"id": 1}, {"id": 2}], "x": null}]', 3),
        ("x:a(id),x:b(id)", b'[{"x": [{"id": 1}, {"id": 2}], "x": []}]', 3),
        ("x:a(id),d->x", b'[{"x": [{"id": 1}, {"id": 2}], "x": 1}]', 3),
        ("x:a(id),...b(x:n)", b'[{"x": [{"id": 1}, {"id": 2}], "x": 1}]', 3),
        ("a(x:b(id),x:n)", b'[{"a": {"x": [{"id": 1}, {"id": 2}], "x": 1}}]', 4),
    ],
)
async def test_a_key_that_comes_twice_hides_no_rows(select: str, body: bytes, least: int) -> None:
    assert await count_rows(_parse(select), body, "application/json") >= least


async def test_a_large_answer_is_counted_as_a_small_one() -> None:
    rows = [{"id": n, "a": [{"id": 1, "text": "x},{" * 9}] * 2} for n in range(4000)]
    body = json.dumps(rows).encode()
    assert len(body) > 4 * LARGE_BODY_BYTES
    assert await count_rows(_parse("id,a(id,text)"), memoryview(body), "application/json") == 12_000


async def test_lines_of_text_are_counted_and_no_other_type_is() -> None:
    assert await count_rows(_parse("id"), b'id,n\n1,"a\nb"\n2,c\n', "text/csv; charset=utf-8") == 2
    assert await count_rows(_parse("id"), b"", "text/xml") == 0
    for select, media_type in (("id", "text/xml"), ("id", "application/geo+json"), ("id,a(id)", "text/csv")):
        with pytest.raises(PgrestError):
            await count_rows(_parse(select), b"1", media_type)
