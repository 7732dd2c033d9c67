"""A class name is used once, and a term of the glossary is in the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable

from tests.rules.sources import CHECKOUT, SourceFile, read_sources


def find_shared_class_names(sources: Iterable[SourceFile]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{source.path}:{node.lineno}")
    return [f"{name}: {', '.join(found)}" for name, found in sorted(places.items()) if len(found) > 1]


def test_a_class_name_is_used_once() -> None:
    assert find_shared_class_names(read_sources("src", "scripts", "tests", "benchmarks")) == []


def test_a_shared_name_is_found() -> None:
    sources = [
        SourceFile("a.py", "class One: pass\nclass Two: pass\n"),
        SourceFile("b.py", "def f():\n    class One: pass\n"),
    ]
    assert find_shared_class_names(sources) == ["One: a.py:1, b.py:2"]


TERM_IN_CODE = re.compile(r"`(\w+)`")


def find_unknown_terms(page: str, sources: Iterable[SourceFile]) -> list[str]:
    """The names in the last column of a table that no class or function has."""
    known = {
        node.name
        for source in sources
        for node in source.nodes
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    } | {name for source in sources for name in _list_aliases(source)}
    cells = [line.rstrip("| ").rpartition("|")[2] for line in page.splitlines() if line.startswith("| ")]
    return [name for cell in cells for name in TERM_IN_CODE.findall(cell) if name not in known]


def _list_aliases(source: SourceFile) -> list[str]:
    """What a module names by an assignment: unions of classes, mostly."""
    assigned = [node.targets[0] for node in source.tree.body if isinstance(node, ast.Assign)]
    return [target.id for target in assigned if isinstance(target, ast.Name)]


def test_every_term_of_the_glossary_is_in_the_code() -> None:
    page = (CHECKOUT / "docs" / "glossary.md").read_text()
    assert len(TERM_IN_CODE.findall(page)) > 50
    assert find_unknown_terms(page, read_sources("src")) == []


def test_an_unknown_term_is_found() -> None:
    page = "| term | meaning | in the code |\n|---|---|---|\n| one | a `Ghost` | `One`, `Two`, `three` |\n"
    assert find_unknown_terms(page, [SourceFile("a.py", "class One: pass\nTwo = One\n")]) == ["three"]
