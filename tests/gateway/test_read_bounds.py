"""The limit that a read which is passed on gets: never more than the caller may still read, and one row."""

import pytest

from basewarden.gateway.read_budget import bound_call
from basewarden.gateway.rest import RestCall


@pytest.mark.parametrize(
    ("query", "bounded"),
    [
        (b"limit=3", b"limit=3"),
        (b"limit=9", b"limit=6"),
        (b"limit=00000000009", b"limit=6"),
        (b"limit=x", b"limit=6"),
        (b"", b"limit=6"),
    ],
)
def test_a_read_is_bounded_by_what_is_left(query: bytes, bounded: bytes) -> None:
    assert bound_call(RestCall("GET", "/notes", query, [], b""), 5).query == bounded
