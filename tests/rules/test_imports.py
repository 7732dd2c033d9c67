"""Who may import whom. The table is `CONTRIBUTING.md`'s, from the top down."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.rules.sources import CHECKOUT, PACKAGES, SourceFile, read_sources


def read_layers(page: str) -> tuple[str, ...]:
    """The first word of each indented line under "Layers"."""
    section = page.partition("\n## Layers\n")[2].partition("\n## ")[0]
    lines = [line.split()[0] for line in section.splitlines() if line.startswith("    ")]
    return tuple(line.removesuffix("/").removesuffix(".py") for line in lines)


LAYERS = read_layers((CHECKOUT / "CONTRIBUTING.md").read_text())
LIBRARIES: Mapping[str, frozenset[str]] = {"pgrest": frozenset()}
"""Packages that could leave the house, and what of ours they know."""

Graph = Mapping[str, set[str]]


def list_imports(source: SourceFile, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Every module of ours that a file imports, inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in inner]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] in PACKAGES)


def layer_of(module: str) -> str:
    package, *inside = module.split(".")
    if package != PACKAGES[0]:
        return package
    return inside[0] if inside else ""


def find_upward_imports(sources: Iterable[SourceFile]) -> list[str]:
    sources = list(sources)
    modules = {source.module for source in sources}
    findings = []
    for source in sources:
        own = layer_of(source.module)
        for line, name in list_imports(source, modules):
            other = layer_of(name)
            if other in ("", own):
                continue
            if own not in LAYERS or other not in LAYERS:
                findings.append(source.at(line, f"{own} or {other} has no place in the layers"))
            elif LAYERS.index(other) < LAYERS.index(own):
                findings.append(source.at(line, f"{own} imports {other}, which stands above it"))
            elif own in LIBRARIES and other not in LIBRARIES[own]:
                findings.append(source.at(line, f"{own} is a library of its own and imports {other}"))
    return findings


def make_module_graph(sources: Iterable[SourceFile]) -> Graph:
    sources = list(sources)
    modules = {source.module for source in sources}
    return {source.module: {name for _, name in list_imports(source, modules)} & modules for source in sources}


def make_package_graph(modules: Graph) -> Graph:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, imported in modules.items():
        own = layer_of(module)
        graph[own] |= {layer_of(name) for name in imported} - {own, ""}
    return graph


def find_circles(graph: Graph) -> list[list[str]]:
    """Groups that can reach each other."""
    reach = {node: _reachable(graph, node) for node in graph}
    circles = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in graph}
    return sorted(sorted(circle) for circle in circles if circle)


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(graph.get(node, ()))
    return seen


def make_sources(**texts: str) -> list[SourceFile]:
    return [SourceFile(f"src/{name.replace('__', '/')}.py", text) for name, text in texts.items()]


def test_the_layers_are_read_from_the_page() -> None:
    assert read_layers("# A\n\n## Layers\n\nText.\n\n    a.py   says\n    b/\n\n## B\n\n    c/\n") == ("a", "b")
    inside = {path.stem for path in (CHECKOUT / "src" / "basewarden").iterdir() if not path.stem.startswith("__")}
    assert set(LAYERS) - {"__main__"} == inside | {"pgrest"}


def test_nothing_imports_upwards() -> None:
    assert find_upward_imports(read_sources("src")) == []


def test_an_upward_import_is_found_wherever_it_hides() -> None:
    wrong = make_sources(
        basewarden__db__engine="def connect():\n    from basewarden.journal import Recorder\n",
        basewarden__journal__recorder="from basewarden.db import engine\n",
        pgrest__query__plan="import basewarden.errors\n",
    )
    assert find_upward_imports(wrong) == [
        "src/basewarden/db/engine.py:2 db imports journal, which stands above it",
        "src/pgrest/query/plan.py:1 pgrest is a library of its own and imports errors",
    ]


def test_a_new_package_needs_a_place() -> None:
    assert find_upward_imports(make_sources(basewarden__novelty__core="from basewarden.core import ids\n")) == [
        "src/basewarden/novelty/core.py:1 novelty or core has no place in the layers"
    ]


def test_there_are_no_circles() -> None:
    modules = make_module_graph(read_sources("src"))
    assert len(modules) > 100
    assert find_circles(modules) == []
    assert find_circles(make_package_graph(modules)) == []


def test_circles_are_found() -> None:
    modules = make_module_graph(
        make_sources(
            basewarden__a__one="from basewarden.b import two",
            basewarden__b__two="from basewarden.b.three import X",
            basewarden__b__three="def f():\n    import basewarden.b.two",
            basewarden__b__four="from basewarden.a.one import Y",
        )
    )
    assert find_circles(modules) == [["basewarden.b.three", "basewarden.b.two"]]
    assert find_circles(make_package_graph(modules)) == [["a", "b"]]
