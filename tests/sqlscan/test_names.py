"""No function or operator that anybody may create is taken for PostgreSQL's own: our SQL names the schema of each."""

from tests.sqlscan.names import list_unqualified
from tests.sqlscan.plugin import VersionedRow


def test_all_that_is_sent_to_projects_names_the_schema_of_what_it_calls(sql_so_far: VersionedRow) -> None:
    found = {sql: names for sql in sql_so_far if (names := list_unqualified(sql))}
    assert not found, "\n".join(f"{names} in {sql_so_far[sql]}: {sql[:300]}" for sql, names in list(found.items())[:20])


def test_what_is_not_qualified_is_found() -> None:
    assert list_unqualified("SELECT count(*), a = b, pg_catalog.max(c) FROM t") == ["=", "count()"]
    assert list_unqualified("SELECT a OPERATOR(pg_catalog.=) b, nullif(pg_catalog.current_setting('a'), '')") == []
    assert list_unqualified("SELECT a IS DISTINCT FROM b") == ["="]
    assert list_unqualified("SELECT a IS DISTINCT FROM NULL, a IS NULL, a BETWEEN 1 AND 2") == ["BETWEEN"]
    assert list_unqualified("SELECT a IN (1, 2) FROM t WHERE b LIKE 'x'") == ["=", "~~"]
