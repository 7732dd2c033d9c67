"""Who may import whom. The table is `CONTRIBUTING.md`'s, from the top down."""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

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
    for node in source.nodes:
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


def find_imports_past_init(sources: Iterable[SourceFile]) -> list[str]:
    """What a file imports of another package of ours and what that package's `__init__` does not name in `__all__`.

    A package inside a feature, such as `connections/rest/`, has an `__init__` of its own for what few others need.
    """
    sources = list(sources)
    modules = {source.module for source in sources}
    faces = {source.module: list_face(source) for source in sources if source.path.endswith("/__init__.py")}
    return [
        source.at(line, f"imports {name} past __init__")
        for source in sources
        for line, module, name in list_imported_names(source, modules)
        if is_of_another_package(source.module, module, faces) and name not in faces.get(module, ())
        if not (source.module == "basewarden.app" and name == "wiring")
    ]


def list_face(source: SourceFile) -> set[str]:
    """The names in `__all__`."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def list_imported_names(source: SourceFile, modules: set[str]) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each `from … import`; of an `import` the module's own name."""
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in modules:
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            parts = [alias.name.rpartition(".") for alias in node.names if alias.name in modules]
            yield from ((node.lineno, package, name) for package, _, name in parts)


def find_unused_names(sources: Iterable[SourceFile]) -> list[str]:
    """Names in the `__all__` of a package that nothing imports from it. `pgrest` has a face for others than us."""
    sources = list(sources)
    modules = {source.module for source in sources}
    used = {(module, name) for source in sources for _, module, name in list_imported_names(source, modules)}
    faces = {source: list_face(source) for source in sources if source.path.endswith("/__init__.py")}
    return [
        f"{source.path} {name}"
        for source, names in faces.items()
        for name in sorted(names)
        if source.module.startswith(PACKAGES[0]) and (source.module, name) not in used
    ]


def is_of_another_package(own: str, module: str, packages: Collection[str]) -> bool:
    """Whether a module is in a package beside the own one. `core` is left out, see `CONTRIBUTING.md`."""
    other = layer_of(module)
    return f"{PACKAGES[0]}.{other}" in packages and other not in (layer_of(own), "core")


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


def test_features_import_what_a_package_names() -> None:
    assert find_imports_past_init(read_sources("src")) == []


def test_an_import_past_init_is_found() -> None:
    texts = {
        "core/ids.py": "def make_id(): ...\n",
        "core/__init__.py": "",
        "journal/__init__.py": 'from basewarden.journal.recorder import Recorder\n__all__ = ["Recorder"]\n',
        "journal/export/__init__.py": '__all__ = ["write"]\n',
        "journal/recorder.py": "class Recorder: ...\n",
        "journal/wiring.py": "from basewarden.journal.recorder import Recorder\n",
        "app.py": "from basewarden.journal import Recorder, wiring\nfrom basewarden.journal import recorder\n",
        "billing/routes.py": """
from basewarden.core.ids import make_id
from basewarden.journal import Recorder, pages
from basewarden.journal.export import write
from basewarden.journal.recorder import Recorder
import basewarden.journal.recorder
from basewarden.app import create_app
def inside():
    from basewarden.journal import wiring
""",
    }
    sources = [SourceFile(f"src/basewarden/{path}", text) for path, text in texts.items()]
    assert find_imports_past_init(sources) == [
        "src/basewarden/app.py:2 imports recorder past __init__",
        "src/basewarden/billing/routes.py:3 imports pages past __init__",
        "src/basewarden/billing/routes.py:5 imports Recorder past __init__",
        "src/basewarden/billing/routes.py:6 imports recorder past __init__",
        "src/basewarden/billing/routes.py:9 imports wiring past __init__",
    ]


def test_a_package_names_only_what_others_import() -> None:
    assert find_unused_names(read_sources("src", "tests", "scripts", "benchmarks")) == []


def test_an_unused_name_is_found() -> None:
    texts = {
        "journal/__init__.py": 'from basewarden.journal.recorder import Recorder\n__all__ = ["Reader", "Recorder"]\n',
        "app.py": "def start():\n    from basewarden.journal import Recorder\n",
    }
    sources = [SourceFile(f"src/basewarden/{path}", text) for path, text in texts.items()]
    assert find_unused_names(sources) == ["src/basewarden/journal/__init__.py Reader"]


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
