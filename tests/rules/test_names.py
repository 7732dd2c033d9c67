"""A class name is used once, so that a reader who meets it knows what it is."""

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.rules.sources import Source, read_sources


def find_shared_class_names(sources: Iterable[Source]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{source.path}:{node.lineno}")
    return [f"{name}: {', '.join(found)}" for name, found in sorted(places.items()) if len(found) > 1]


def test_a_class_name_is_used_once() -> None:
    assert find_shared_class_names(read_sources("src", "scripts")) == []


def test_a_shared_name_is_found() -> None:
    sources = [Source("a.py", "class One: pass\nclass Two: pass\n"), Source("b.py", "def f():\n    class One: pass\n")]
    assert find_shared_class_names(sources) == ["One: a.py:1, b.py:2"]
