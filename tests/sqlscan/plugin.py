"""Records the SQL that the product sends to projects in the whole run, for `test_names.py`, which it puts last.

Each text with whether it ran where no name could be taken for another: under PostgreSQL's own schema alone.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from psycopg import pq

from basewarden.gateway.direct.row_images import AS_SESSION, WITH_SESSION_PATH
from pgrest import DbConnection, Statement
from pgrest.schema.catalog_version import PLAN_PLAINLY
from pgrest.schema.introspection import SPELL_NAMES

LAST = "test_names.py"
OWN_DATABASE = b"basewarden journal"
"""What the recorder calls itself: its connection leads to our own database."""
OWN_TESTS = ("tests/pgrest/", "tests/jobs/", "tests/db/", "tests/chaos/")
"""What talks to a connection itself."""

VersionedRow = dict[str, str]


class OwnStatement(Statement):
    """SQL that a test sends itself, over the product's connection."""


SEEN = pytest.StashKey[VersionedRow]()
_ENDS = ("BEGIN", "COMMIT", "ROLLBACK")
_OWN_PATH = b"pg_catalog, pg_temp"
_SAVE, _RETURN = "SAVEPOINT ", "ROLLBACK TO SAVEPOINT "


class SQLListener:
    """`seen` maps a text that ran under a caller's search path to the test that it was first seen in."""

    def __init__(self) -> None:
        self.seen: VersionedRow = {}
        self.test = ""

    def hear(self, connection: Any, statements: Sequence[Statement]) -> None:
        if connection._pg.parameter_status(b"application_name") == OWN_DATABASE:
            return
        is_safe = getattr(connection, "_is_path_safe", False)
        for statement in statements:
            sql = statement.sql
            is_own = isinstance(statement, OwnStatement) or self.test.startswith(OWN_TESTS)
            if not is_safe and not is_own:
                self.seen.setdefault(sql, self.test)
            marks = connection.__dict__.setdefault("_path_marks", {})
            if sql.startswith(_SAVE):
                marks[sql.removeprefix(_SAVE)] = is_safe
            if sql.startswith(_RETURN):  # what was set since then is taken back
                is_safe = marks.get(sql.removeprefix(_RETURN), False)
            else:
                is_safe = _follow(statement, is_safe=is_safe)
        is_open = any(statement.sql.startswith("BEGIN") for statement in statements) or self._is_open(connection)
        connection.__dict__["_is_path_safe"] = is_safe and is_open

    def _is_open(self, connection: Any) -> bool:
        """Else what was set ends with this round trip."""
        return connection.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


def _follow(statement: Statement, *, is_safe: bool) -> bool:
    if statement in (SPELL_NAMES, PLAN_PLAINLY) or _OWN_PATH in statement.params:
        return True
    if (
        statement in (AS_SESSION, WITH_SESSION_PATH)
        or statement.sql.startswith(_ENDS)
        or "'search_path'" in statement.sql
    ):
        return False
    return is_safe


the_listener = SQLListener()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEEN] = the_listener.seen
    patch = pytest.MonkeyPatch()
    send = DbConnection._send

    def hear_and_send(connection: DbConnection, statements: Sequence[Statement]) -> Any:
        the_listener.hear(connection, statements)
        return send(connection, statements)

    patch.setattr(DbConnection, "_send", hear_and_send)
    config.add_cleanup(patch.undo)


def pytest_runtest_logstart(nodeid: str) -> None:
    the_listener.test = nodeid


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture
def sql_so_far(pytestconfig: pytest.Config) -> VersionedRow:
    return pytestconfig.stash[SEEN]
