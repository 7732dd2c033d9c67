"""Nothing that a client sends gets into SQL's text but as a quoted name, and nothing makes the server fail.

`FUZZ_EXAMPLES=100000` asks for more than CI does.
"""

import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgrest import (
    Builder,
    DbConnection,
    InfoPlan,
    OpenApiPlan,
    PgrestError,
    RestConfig,
    ReturningSpec,
    Schema,
    Session,
    WritePlan,
    load_schema,
    make_script,
    make_template,
    parse_request,
    plan_request,
    returning_write_sql,
    shape_request,
)
from pgrest.sql.statements import build_statement
from tests.fixtures.postgres import PostgresServer
from tests.pgrest import hostile
from tests.pgrest.conftest import Client, open_client

CONFIG = RestConfig(
    schemas=("public",), aggregates_enabled=True, plan_enabled=True, tx_override=True, tx_end="rollback"
)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_CONSTANT = re.compile(r"E?'(?:[^'\\]|''|\\.)*'")
_HOLDING = frozenset({"21000", "42P17", "54001"})
"""Codes that PostgREST's own table answers with 500: too many rows, a policy that asks itself, too deep a stack."""

_MANY = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
_FEW = settings(_MANY, max_examples=max(100, int(os.environ.get("FUZZ_EXAMPLES", "0")) // 10))
bodies = st.one_of(
    st.builds(json.dumps, st.one_of(hostile.objects, st.lists(hostile.objects, max_size=3), hostile.values)),
    hostile.values,
).map(lambda text: text.encode("utf-8", "replace"))


@_MANY
@given(hostile.methods, hostile.paths, hostile.queries, hostile.headers, bodies)
def test_made_up_words_stand_in_sql_only_as_quoted_names(
    shop_schema: Schema, method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes
) -> None:
    raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers]
    with contextlib.suppress(PgrestError):
        request = parse_request(method, path, query.encode(), raw, body, config=CONFIG)
        plan = plan_request(shop_schema, request, CONFIG)
        if isinstance(plan, InfoPlan | OpenApiPlan):
            return
        script = make_script(plan, request, Session("web_anon"), schema=shop_schema, config=CONFIG)
        returning = [returning_write_sql(Builder(), plan, _RETURNING)] if isinstance(plan, WritePlan) else []
        for sql in (*(one.sql for one in script.statements), build_statement(plan).sql, *returning):
            bare = _CONSTANT.sub("''", _QUOTED.sub('""', sql))
            assert hostile.MARK not in bare
            assert bare.count("'") % 2 == bare.count('"') % 2 == 0
            assert not set(bare) - _PLAIN, (set(bare) - _PLAIN, sql)
        shaped = shape_request(method, path, query.encode(), raw, body)
        if shaped is not None:
            template = make_template(shop_schema, request, plan)
            assert template.make_script(shaped, Session("web_anon"), CONFIG, raw).statements == script.statements


_RETURNING = ReturningSpec(lambda alias: [f"row_to_json({alias}.*)::text"], 100)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$ \n\"'.,()[]*:=<>~@&|+-/?")


@pytest.fixture(scope="module")
async def shop_schema(postgres: PostgresServer, shop_template: str) -> AsyncIterator[Schema]:
    dsn = await postgres.create_database(template=shop_template)
    conn = await DbConnection.connect(dsn)
    yield await load_schema(conn, CONFIG.schemas, CONFIG.extra_search_path)
    await conn.close()
    await postgres.drop_database(dsn)


@pytest.fixture(scope="module")
async def served(postgres: PostgresServer, shop_template: str) -> AsyncIterator[Client]:
    dsn = await postgres.create_database(template=shop_template)
    async with open_client(dsn, CONFIG) as client:
        yield client
    await postgres.drop_database(dsn)


@_FEW
@given(hostile.methods, hostile.paths, hostile.queries, hostile.headers, bodies)
async def test_no_request_makes_the_server_fail(
    served: Client, method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes
) -> None:
    answer = await served.send(method, f"{hostile.encode_path(path)}?{query}", body, dict(headers))
    if answer.status >= 500:
        assert json.loads(answer.body)["code"] in _HOLDING, (
            method,
            unquote(path),
            unquote(query),
            headers,
            body,
            answer,
        )


def test_a_marker_that_escapes_would_be_seen() -> None:
    bare = _CONSTANT.sub("''", _QUOTED.sub('""', f'SELECT "a""{hostile.MARK}", \'{hostile.MARK}\', {hostile.MARK}'))
    assert bare == f"SELECT \"\", '', {hostile.MARK}"
