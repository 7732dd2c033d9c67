"""Small habits that a reader relies on and that no linter's own rule keeps."""

import ast
import re
from collections.abc import Iterable

from tests.rules.sources import SourceFile, read_sources

BROAD_EXCEPT = {
    "src/basewarden/web/stopwatch.py": "passes on to the coroutine whatever is thrown in",
    "src/basewarden/web/edge.py": "the edge: whatever is left is a 500 with a request id",
    "src/basewarden/journal/recorder.py": "a worker loop: one that ended would leave every write waiting",
    "src/pgrest/server/app.py": "the edge of a server of its own: whatever is left is a 500",
    "src/basewarden/jobs/worker.py": "a worker loop: one that ended would leave every job waiting",
}
PRINTERS = {
    "src/basewarden/cli.py": "talks to a terminal",
    "src/basewarden/commands.py": "talk to a terminal",
    "src/basewarden/demo/script.py": "prints the transcript",
    "src/pgrest/server/command.py": "a program of its own, which talks to a terminal",
}
NOQA = re.compile(r"#\s*noqa(?P<codes>:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?(?P<reason>\s*-{1,2}\s*\S.*)?$")
IGNORE = re.compile(r"#\s*type:\s*ignore(?P<rule>\[[\w, -]+\])?(?P<reason>\s+#\s*\S.*)?")
ALL_CODE = ("src", "tests", "benchmarks", "scripts")


def find_broad_excepts(sources: Iterable[SourceFile]) -> list[str]:
    broad = {"Exception", "BaseException"}
    return [
        source.at(node.lineno, "catches everything")
        for source in sources
        if source.path not in BROAD_EXCEPT
        for node in source.nodes
        if isinstance(node, ast.ExceptHandler) and not _raises_again(node) and (_caught(node) & broad or not node.type)
    ]


def _caught(handler: ast.ExceptHandler) -> set[str]:
    named = ast.walk(handler.type) if handler.type else ()
    return {node.id for node in named if isinstance(node, ast.Name)}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """`except BaseException: …; raise` cleans up and hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def find_calls(sources: Iterable[SourceFile], call: str, allowed: Iterable[str] = ()) -> list[str]:
    return [
        source.at(node.lineno, f"{call}()")
        for source in sources
        if source.path not in allowed
        for node in source.nodes
        if isinstance(node, ast.Call) and call.endswith(_last_name(node.func)) and ast.unparse(node.func) == call
    ]


def _last_name(function: ast.expr) -> str:
    """Cheap to read: few calls are by a name that looks like the wanted one."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ast.unparse(function)


def find_unexplained_silence(sources: Iterable[SourceFile]) -> list[str]:
    findings = []
    for source in sources:
        for line, comment in source.comments:
            noqa, ignore = NOQA.search(comment), IGNORE.search(comment)
            if "noqa" in comment and "ruff: noqa" not in comment and not (noqa and noqa["codes"] and noqa["reason"]):
                findings.append(source.at(line, "noqa without its rule and a reason"))
            if ignore and not (ignore["rule"] and ignore["reason"]):
                findings.append(source.at(line, "type: ignore without its rule and a reason"))
    return findings


def test_only_the_edge_catches_everything() -> None:
    assert find_broad_excepts(read_sources("src")) == []
    assert find_broad_excepts(
        [
            SourceFile("src/a.py", "try:\n    x()\nexcept (ValueError, Exception):\n    pass\n"),
            SourceFile("src/b.py", "try:\n    x()\nexcept BaseException:\n    y()\n    raise\n"),
            SourceFile("src/c.py", "try:\n    x()\nexcept:\n    pass\n"),
        ]
    ) == ["src/a.py:3 catches everything", "src/c.py:3 catches everything"]


def test_only_programs_print() -> None:
    assert find_calls(read_sources("src"), "print", PRINTERS) == []
    assert find_calls([SourceFile("src/a.py", "def f():\n    print(1)\n")], "print", PRINTERS) == ["src/a.py:2 print()"]


def test_nothing_blocks_the_loop_by_sleeping() -> None:
    assert find_calls(read_sources("src"), "time.sleep") == []
    assert find_calls([SourceFile("src/a.py", "import time\ntime.sleep(1)\n")], "time.sleep") == [
        "src/a.py:2 time.sleep()"
    ]


def test_what_is_silenced_says_why() -> None:
    assert find_unexplained_silence(read_sources(*ALL_CODE)) == []
    examples = [
        "a = 1  # noqa: S104 - only on loopback",
        "b = 1  # noqa: S104, S105 -- both on loopback",
        "c = 1  # type: ignore[arg-type]  # the library's own union",
        "d = 1  # noqa: S104",
        "e = 1  # noqa",
        "f = 1  # type: ignore[arg-type]",
    ]
    assert find_unexplained_silence([SourceFile("a.py", "\n".join(examples))]) == [
        "a.py:4 noqa without its rule and a reason",
        "a.py:5 noqa without its rule and a reason",
        "a.py:6 type: ignore without its rule and a reason",
    ]
