"""Every file that the documentation names is there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from tests.rules.sources import CHECKOUT, SourceFile, list_repository_files, read_sources

NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml|html|css|ts|sql|yml)|(?:[\w.-]+/)+)`")
ROOTS = ("", "src/", "src/basewarden/", "src/pgrest/", "tests/", "docs/")
PAST = ("CHANGELOG.md", "docs/decisions/")
"""They tell of files as they were at the time."""
MADE = (".data/", "fix.sql")
"""Made where the product runs, or a member of an answer."""


def read_pages(names: Iterable[str]) -> list[SourceFile]:
    return [
        SourceFile(name, (CHECKOUT / name).read_text())
        for name in names
        if name.endswith(".md") and not name.startswith(PAST)
    ]


def find_missing_files(pages: Iterable[SourceFile], files: Iterable[str]) -> list[str]:
    """A name alone may be that of any file or folder; in a page of a folder, paths may begin there."""
    known = _list_paths(files)
    names = {PurePosixPath(path).name + "/" * path.endswith("/") for path in known}
    return [
        page.at(line, f"{quoted} is not there")
        for page in pages
        for line, quoted in page.lines_with(NAMED)
        if not _is_there(quoted.strip("`"), page, known, names)
    ]


def _list_paths(files: Iterable[str]) -> set[str]:
    """Files and folders, these with a slash at the end."""
    paths: set[str] = set()
    for file in files:
        paths |= {file, *(f"{parent}/" for parent in PurePosixPath(file).parents)}
    return paths


def _is_there(name: str, page: SourceFile, known: set[str], names: set[str]) -> bool:
    return name in names or name in MADE or any(f"{root}{name}" in known for root in _list_roots(page))


def _list_roots(page: SourceFile) -> Iterator[str]:
    yield from ROOTS
    yield page.path.rpartition("/")[0] + "/"


def test_every_file_that_a_page_names_is_there() -> None:
    files = list_repository_files()
    assert find_missing_files(read_pages(files), files) == []


def test_a_missing_file_is_found() -> None:
    files = ["src/basewarden/web/edge.py", "docs/a.md", "src/pgrest/README.md", "src/pgrest/wire/pool.py"]
    pages = [
        SourceFile(
            "docs/a.md", "`web/edge.py`, `web/`, `edge.py`\n`web/ledge.py`, `ledge.py`, `nowhere/`, `edge.py x`"
        ),
        SourceFile("src/pgrest/README.md", "`wire/`, `wire/pool.py`, `wire/pond.py`"),
    ]
    assert find_missing_files(pages, files) == [
        "docs/a.md:2 `web/ledge.py` is not there",
        "docs/a.md:2 `ledge.py` is not there",
        "docs/a.md:2 `nowhere/` is not there",
        "src/pgrest/README.md:1 `wire/pond.py` is not there",
    ]


NAMED_TEST = re.compile(r"`tests/[\w/]+\.py::\w+`")


def find_missing_tests(pages: Iterable[SourceFile], tests: Mapping[str, str]) -> list[str]:
    """`tests` are the texts of the test files."""
    return [
        page.at(line, f"{quoted} is not there")
        for page in pages
        for line, quoted in page.lines_with(NAMED_TEST)
        if not _is_test(quoted.strip("`"), tests)
    ]


def _is_test(quoted: str, tests: Mapping[str, str]) -> bool:
    path, _, name = quoted.partition("::")
    return re.search(rf"\bdef {name}\(", tests.get(path, "")) is not None


def test_every_test_that_a_page_names_is_there() -> None:
    tests = {source.path: source.text for source in read_sources("tests")}
    assert find_missing_tests(read_pages(list_repository_files()), tests) == []


def test_a_missing_test_is_found() -> None:
    page = SourceFile("a.md", "`tests/a.py::test_one`\n`tests/a.py::test_on`, `tests/b.py::test_one`")
    found = find_missing_tests([page], {"tests/a.py": "async def test_one() -> None: ..."})
    assert [line.partition(" ")[0] for line in found] == ["a.md:2", "a.md:2"]
