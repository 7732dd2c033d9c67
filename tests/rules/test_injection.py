"""An injected type has one alias in the whole code, named after the type: `PagesDep` for `Pages`."""

import ast
from collections.abc import Iterable

from tests.rules.sources import SourceFile, read_sources


def find_misnamed_aliases(sources: Iterable[SourceFile]) -> list[str]:
    findings, homes = [], dict[str, str]()
    for source in sources:
        for line, alias, kind in list_aliases(source):
            if alias != f"{kind}Dep":
                findings.append(source.at(line, f"{alias} is not {kind}Dep"))
            elif homes.setdefault(kind, source.path) != source.path:
                findings.append(source.at(line, f"{alias} is also in {homes[kind]}"))
    return findings


def list_aliases(source: SourceFile) -> list[tuple[int, str, str]]:
    """Line, alias and type of each `… = Annotated[…, Depends(inject(…))]`."""
    return [
        (node.lineno, target.id, annotation.elts[0].id)
        for node in source.tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        for target, annotation in [(node.targets[0], node.value.slice)]
        if isinstance(target, ast.Name)
        and isinstance(annotation, ast.Tuple)
        and isinstance(annotation.elts[0], ast.Name)
        if ast.unparse(annotation.elts[1]) == f"Depends(inject({annotation.elts[0].id}))"
    ]


def test_an_injected_type_has_one_alias() -> None:
    sources = read_sources("src/basewarden")
    assert sum(len(list_aliases(source)) for source in sources) > 20
    assert find_misnamed_aliases(sources) == []


def test_other_and_second_aliases_are_found() -> None:
    sources = [
        SourceFile("src/basewarden/web/a.py", "PagesDep = Annotated[Pages, Depends(inject(Pages))]\n"),
        SourceFile("src/basewarden/undo/b.py", "ThePages = Annotated[Pages, Depends(inject(Pages))]\n"),
        SourceFile("src/basewarden/journal/c.py", "\nPagesDep = Annotated[Pages, Depends(inject(Pages))]\n"),
    ]
    assert find_misnamed_aliases(sources) == [
        "src/basewarden/undo/b.py:1 ThePages is not PagesDep",
        "src/basewarden/journal/c.py:2 PagesDep is also in src/basewarden/web/a.py",
    ]
