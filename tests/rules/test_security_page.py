"""The page on how accounts are kept names tests that are there."""

import ast
import re

from tests.rules.sources import CHECKOUT as ROOT
from tests.rules.sources import SourceFile, read_source

PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
STATEMENTS = list(range(1, 31))


def find_missing(page: str) -> list[str]:
    missing = []
    for path, name in NAMED.findall(page):
        file = ROOT / path
        if not file.exists() or (name and name not in list_functions(read_source(file))):
            missing.append(f"{path}::{name}")
    return missing


def list_functions(source: SourceFile) -> set[str]:
    return {node.name for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_page_names_is_there() -> None:
    assert find_missing(PAGE.read_text()) == []


def test_every_statement_has_its_row_and_every_row_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| S\d+ \|", line)]
    assert [int(row.split("|")[1].strip()[1:]) for row in rows] == STATEMENTS
    assert [row[:6] for row in rows if not NAMED.search(row)] == []


def test_a_test_that_is_gone_is_noticed() -> None:
    assert find_missing("`tests/rules/test_security_page.py::test_nowhere` `tests/nowhere.py`") == [
        "tests/rules/test_security_page.py::test_nowhere",
        "tests/nowhere.py::",
    ]
