"""SQL stands where one looks for it, and nothing is pasted into it there but what `pgrest.sql.text` has quoted."""

import ast
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch

from tests.rules.sources import SourceFile, read_sources

HOMES = {
    "src/basewarden/*/queries.py": "a feature's only SQL",
    "src/basewarden/journal/statements.py": "the hot path's, for the wire",
    "src/basewarden/policy/statements.py": "what the journal's transaction counts, for the wire",
    "src/basewarden/journal/partitions.py": "makes the months' tables",
    "src/basewarden/*/models.py": "server defaults and partial indexes",
    "src/basewarden/db/*": "transactions, notifications, migrations; no feature's tables",
    "src/pgrest/*": "makes the SQL of requests",
    "src/basewarden/gateway/direct/*": "reads the images of rows, on the project's database",
    "src/basewarden/gateway/projects.py": "asks the project's database what became of a transaction",
    "src/basewarden/connections/warnings.py": "shown to a person, who runs it",
    "src/basewarden/workspace/row_text.py": "copied by a person, who runs it elsewhere",
    "src/basewarden/connections/probe.py": "asks a database that is not connected yet",
    "src/basewarden/sentry/*": "asks a project's catalog, and tries what strangers could do",
    "src/basewarden/undo/*": "writes rows back, on the project's database",
    "src/basewarden/demo/*": "makes and compares the demo's own database",
}
# Control of a transaction is no query: it may stand with what runs in it.
STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+(AS\s+\S+\s+)?SET\s|DELETE\s+FROM\s|WITH\s+\S+\s+AS\s|MERGE\s+INTO\s|"
    r"(CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE|LISTEN|NOTIFY|COPY|LOCK)\s+[A-Z\"])"
)
BUILDERS = {"select", "insert", "update", "delete", "text"}


def find_homeless_sql(sources: Iterable[SourceFile]) -> list[str]:
    return [
        source.at(line, what)
        for source in sources
        if not any(fnmatch(source.path, home) for home in HOMES)
        for line, what in list_sql(source)
    ]


def list_sql(source: SourceFile) -> Iterator[tuple[int, str]]:
    docstrings = set(_list_docstrings(source))
    builders = set(_list_builders(source))
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            if STATEMENT.match(node.value):
                yield node.lineno, f"SQL: {node.value.split(maxsplit=2)[:2]}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in builders:
            yield node.lineno, f"{node.func.id}()"


def _list_docstrings(source: SourceFile) -> Iterator[ast.Constant]:
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _list_builders(source: SourceFile) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            yield from (alias.asname or alias.name for alias in node.names if alias.name in BUILDERS)


def test_sql_stands_at_home() -> None:
    assert find_homeless_sql(read_sources("src")) == []


def test_every_home_is_lived_in() -> None:
    paths = [source.path for source in read_sources("src") if any(list_sql(source))]
    assert [home for home in HOMES if not any(fnmatch(path, home) for path in paths)] == []


def test_homeless_sql_is_found() -> None:
    service = SourceFile(
        "src/basewarden/journal/service.py",
        '"""SELECT what you like."""\n'
        "from sqlalchemy import select as choose, select, text\n"
        "A = select(1)\n"
        'B = f"DELETE FROM {A}"\n'
        'C = "Select the rows that you want."\n'
        'D = "COMMIT"\n',
    )
    assert find_homeless_sql([service]) == [
        "src/basewarden/journal/service.py:3 select()",
        "src/basewarden/journal/service.py:4 SQL: ['DELETE', 'FROM']",
    ]
    assert find_homeless_sql([SourceFile("src/basewarden/journal/queries.py", service.text)]) == []
