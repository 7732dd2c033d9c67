"""The checkout's own sources, as the rules read them. A rule is a function from sources to findings."""

import ast
import gc
import re
import subprocess
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import StringIO
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("basewarden", "pgrest")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python 3.11 breaks a parse off when a finalizer that runs within it parses too, as printing a traceback does.

    https://github.com/python/cpython/issues/106905
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class SourceFile:
    """One file: `path` from the checkout's root with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        with _no_collection():
            return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree, breadth first."""
        return tuple(ast.walk(self.tree))

    @property
    def module(self) -> str:
        """`src/basewarden/db/engine.py` is `basewarden.db.engine`, an `__init__.py` its package."""
        parts = self.path.removeprefix("src/").removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def at(self, line: int, what: str) -> str:
        return f"{self.path}:{line} {what}"

    @cached_property
    def comments(self) -> tuple[tuple[int, str], ...]:
        """Each with its line."""
        tokens = tokenize.generate_tokens(StringIO(self.text).readline) if "#" in self.text else ()
        return tuple((token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT)

    def lines_with(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        for match in pattern.finditer(self.text):
            yield self.text.count("\n", 0, match.start()) + 1, match.group()


def read_sources(*folders: str, suffix: str = ".py") -> list[SourceFile]:
    paths = [path for folder in folders for path in sorted((CHECKOUT / folder).rglob(f"*{suffix}"))]
    return [read_source(path) for path in paths if "node_modules" not in path.parts]


@cache
def read_source(path: Path) -> SourceFile:
    """Kept, with its tree, until the last rule has run: most rules read the same files."""
    return SourceFile(path.relative_to(CHECKOUT).as_posix(), path.read_text())


def read_page(path: str) -> SourceFile:
    return SourceFile(path, (CHECKOUT / path).read_text())


def list_repository_files() -> list[str]:
    """What is tracked or will be: everything that no ignore rule leaves out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return sorted({name for name in listed.splitlines() if (CHECKOUT / name).is_file()})
