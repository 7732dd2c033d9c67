"""The very statements that the road sends for a request, as scripts for pgbench."""

import re
from collections.abc import Sequence

from basewarden.gateway.direct.capture import capture_write
from basewarden.gateway.direct.context import WriteContext
from pgrest import (
    DbConnection,
    ReadPlan,
    RestConfig,
    Rows,
    Schema,
    Session,
    Statement,
    execute,
    load_schema,
    parse_request,
    plan_request,
    session_settings,
)

_PARAMETER = re.compile(r"\$(\d+)")
CONFIG = RestConfig()


class RecordingConnection(DbConnection):
    """Keeps what goes out, one list a round trip."""

    sent: list[list[Statement]]

    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        self.sent.append(list(statements))
        return await super().run(statements)


async def record_request(
    dsn: str, role: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes = b""
) -> list[list[Statement]]:
    """The round trips of one request, COMMIT included, without the journal's."""
    connection = await RecordingConnection.connect(dsn)
    connection.sent = []
    schema = await load_schema(connection, CONFIG.schemas, CONFIG.extra_search_path)
    connection.sent.clear()
    await _send(connection, schema, role, (method, path, query, headers, body))
    sent = connection.sent
    await connection.close()
    return sent


async def _send(
    connection: RecordingConnection, schema: Schema, role: str, call: tuple[str, str, str, dict[str, str], bytes]
) -> None:
    method, path, query, headers, body = call
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = parse_request(method, path, query.encode(), pairs, body, config=CONFIG)
    plan = plan_request(schema, request, CONFIG)
    session = Session(role)
    if isinstance(plan, ReadPlan):
        await execute(connection, plan, request, session, schema=schema, config=CONFIG)
        return
    settings = session_settings(session, request, CONFIG, schema=schema)
    await capture_write(WriteContext(connection, schema, (settings,), role), plan)  # type: ignore[arg-type]  # not info
    await connection.run([Statement("COMMIT")])


def make_script(trips: Sequence[Sequence[Statement]], variables: dict[str, str], *, setup: str = "") -> str:
    """A pgbench script: one pipeline a round trip; text that stands for a variable is put in by its name."""
    lines = [setup] if setup else []
    for trip in trips:
        lines.append("\\startpipeline")
        lines += [" ".join(_inline(statement, variables).split()) + ";" for statement in trip]
        lines.append("\\endpipeline")
    return "\n".join(lines) + "\n"


def _inline(statement: Statement, variables: dict[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        value = statement.params[int(match[1]) - 1]
        text = "" if value is None else value.decode()
        for marker, name in variables.items():
            if marker in text:
                before, after = text.split(marker, 1)
                if not before and not after:
                    return f":{name}"
                return f"({_quote(before)} || :{name}::text || {_quote(after)})"
        return "NULL" if value is None else _quote(text)

    return _PARAMETER.sub(put, statement.sql)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
