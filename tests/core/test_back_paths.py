"""A form comes back to a page of its connection, and to nothing else."""

import pytest

from basewarden.core.back_paths import is_back_path

HOME = "/c/01/"


@pytest.mark.parametrize("path", ["/c/01/data", "/c/01/data/a%252Fb?x=//y", "/c/01/", "/c/01//"])
def test_paths_of_the_connection(path: str) -> None:
    assert is_back_path(path, HOME)


@pytest.mark.parametrize(
    "path",
    ["", "//c/01/x", "///c/01/x", "//[", "http://[/c/01/", "https://c/01/", "/c/02/", "/c/01/\u00e9", "/c/01/\\x", "/c/01/\n"],
)  # fmt: skip
def test_anything_else(path: str) -> None:
    assert not is_back_path(path, HOME)
