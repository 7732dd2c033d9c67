"""What the repository holds runs on any machine: no path of ours, no package index of ours."""

import re
from collections.abc import Iterable

from tests.rules.sources import CHECKOUT, SourceFile, list_repository_files

FORBIDDEN = {
    "a machine's path": re.compile(r"(?<![\w.$}/-])/(?:work|root|home/\w+|Users/\w+)/\w"),
    "a package index": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|index-url|extra-index)\b"
    ),
}
THIS_FILE = "tests/rules/test_files.py"


def find_local_names(sources: Iterable[SourceFile]) -> list[str]:
    return [
        source.at(line, f"{what}: {found}")
        for source in sources
        for what, pattern in FORBIDDEN.items()
        for line, found in source.lines_with(pattern)
    ]


def read_text_files() -> Iterable[SourceFile]:
    for name in list_repository_files():
        content = (CHECKOUT / name).read_bytes()
        if name != THIS_FILE and b"\0" not in content:
            yield SourceFile(name, content.decode())


def test_no_file_names_a_machine_or_an_index() -> None:
    assert find_local_names(read_text_files()) == []


def test_local_names_are_found() -> None:
    examples = ["cd /work/here", "/home/ada/x", "https://pypi.org/simple", "src/work/x is fine", "$HOME/root/x is fine"]
    assert find_local_names([SourceFile("a.md", "\n".join(examples))]) == [
        "a.md:1 a machine's path: /work/h",
        "a.md:2 a machine's path: /home/ada/x",
        "a.md:3 a package index: pypi.org",
    ]
