"""Runs a plan on a connection: settings, statement and verdict in one transaction.

Where DDL has left a prepared statement that no longer fits, the transaction is run again: nothing of it was kept.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from pgrest.config import RestConfig
from pgrest.errors import PlanStale
from pgrest.query.plan import CallPlan, DatabasePlan, OpenApiPlan
from pgrest.query.request import Request
from pgrest.query.user_code import may_run_code
from pgrest.schema.model import Schema
from pgrest.sql.session import Session, isolation_level, session_settings
from pgrest.sql.statements import (
    Result,
    build_count_estimate,
    build_statement,
    needs_verdict,
    read_result,
    verify_result,
)
from pgrest.sql.text import Statement, quote_name
from pgrest.wire.connection import DbConnection, Rows
from pgrest.wire.resetting import roll_back

Outcome = TypeVar("Outcome")
_BEGIN = Statement("BEGIN")
_COMMIT = Statement("COMMIT")
_CALL_OFF = Statement("ROLLBACK")
_ROLLBACK = (Statement("SET CONSTRAINTS ALL IMMEDIATE"), Statement("ROLLBACK"))
_LEVELS = {
    "serializable": "SERIALIZABLE",
    "repeatable read": "REPEATABLE READ",
    "read committed": "READ COMMITTED",
    "read uncommitted": "READ UNCOMMITTED",
}


class Script(msgspec.Struct, frozen=True):
    """What goes out for one request: how the transaction opens, then settings, statement and estimate."""

    opening: Statement | None
    statements: tuple[Statement, ...]
    at: int
    """the place of the plan's own statement"""
    rolls_back: bool = False
    """a read that may run user code leaves nothing behind: some functions write in READ ONLY transactions too"""


def make_script(
    plan: DatabasePlan, request: Request, session: Session, *, schema: Schema, config: RestConfig
) -> Script:
    prelude = make_prelude(plan, request, session, schema=schema, config=config)
    estimate = build_count_estimate(plan)
    statements = (*prelude, build_statement(plan), *(() if estimate is None else (estimate,)))
    opening = make_opening(plan, session, schema)
    rolls_back = config.reads_roll_back and may_run_code(schema, plan, session.role)
    return Script(opening, statements, len(prelude), rolls_back)


async def execute(
    conn: DbConnection,
    plan: DatabasePlan,
    request: Request,
    session: Session,
    *,
    schema: Schema,
    config: RestConfig,
) -> Result:
    """One round trip, but for a write that may yet be refused or is to be rolled back.

    Raises DatabaseError, or PgrestError from `verify_result`; either way nothing is kept then. After an
    error the connection may be inside the failed transaction, which the pool rolls back.
    """
    return await run_script(
        conn, plan, request, make_script(plan, request, session, schema=schema, config=config), config
    )


async def run_script(
    conn: DbConnection, plan: DatabasePlan, request: Request, script: Script, config: RestConfig
) -> Result:
    """As `execute`; `script` is of this plan, `request` may be an earlier one of the same shape."""
    if plan.read_only:
        return await run_read(conn, plan, script)
    rolls_back = is_rolled_back(request, config)
    return await run_again(conn, lambda: _run_write(conn, plan, script, rolls_back=rolls_back))


async def run_again(conn: DbConnection, transaction: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Returns what `transaction` returns; after a stale plan it runs once more, with every statement prepared again."""
    try:
        return await transaction()
    except PlanStale:
        await _end_failed(conn)
        return await transaction()


async def _end_failed(conn: DbConnection) -> None:
    if not conn.is_between_transactions:
        await conn.run([_CALL_OFF])


async def _run_write(conn: DbConnection, plan: DatabasePlan, script: Script, *, rolls_back: bool) -> Result:
    if script.opening is None and not rolls_back and not needs_verdict(plan):
        result = _read(plan, await conn.run(script.statements), script.at)
        verify_result(plan, result)
        return result
    answers = await conn.run([script.opening or Statement("BEGIN"), *script.statements])
    result = _read(plan, answers[1:], script.at)
    verify_result(plan, result)
    await conn.run(_ROLLBACK if rolls_back else [_COMMIT])
    return result


async def run_read(conn: DbConnection, plan: DatabasePlan, script: Script) -> Result:
    """A script of a plan that only reads may be run again, as long as plan and settings hold."""
    try:
        return await _run_read(conn, plan, script)
    except PlanStale:
        await _end_failed(conn)
        return await _run_read(conn, plan, script)


async def _run_read(conn: DbConnection, plan: DatabasePlan, script: Script) -> Result:
    if script.rolls_back:
        answers = await conn.run([script.opening or _BEGIN, *script.statements, *roll_back(conn)])
        result = _read(plan, answers[1 : 1 + len(script.statements)], script.at)
    elif script.opening is None:
        result = _read(plan, await conn.run(script.statements), script.at)
    else:
        answers = await conn.run([script.opening, *script.statements, _COMMIT])
        result = _read(plan, answers[1:-1], script.at)
    verify_result(plan, result)
    return result


async def run_read_only(
    conn: DbConnection,
    plan: OpenApiPlan,
    statements: Sequence[Statement],
    request: Request,
    session: Session,
    *,
    schema: Schema,
    config: RestConfig,
) -> list[Rows]:
    """The answers to statements that only read, asked as the request's role in one transaction."""
    prelude = make_prelude(plan, request, session, schema=schema, config=config)
    opening = make_opening(plan, session, schema)
    ending = roll_back(conn) if config.reads_roll_back else (_COMMIT,)
    whole = [opening or _BEGIN, *prelude, *statements, *ending]
    first = len(prelude) + 1
    return (await run_again(conn, lambda: conn.run(whole)))[first : first + len(statements)]


def is_rolled_back(request: Request, config: RestConfig) -> bool:
    wanted = request.preferences.tx
    return wanted == "rollback" or (config.tx_end == "rollback" and wanted != "commit")


def _read(plan: DatabasePlan, answers: list[Rows], at: int) -> Result:
    estimate = answers[at + 1] if len(answers) > at + 1 else None
    return read_result(plan, answers[at], estimate)


def make_prelude(
    plan: DatabasePlan | OpenApiPlan,
    request: Request,
    session: Session,
    *,
    schema: Schema,
    config: RestConfig,
    headers: Sequence[tuple[bytes, bytes]] | None = None,
) -> list[Statement]:
    """What runs before the plan's own statement."""
    settings = session_settings(
        session,
        request,
        config,
        schema=schema,
        read_only=plan.read_only,
        function_settings=_function_settings(plan),
        headers=headers,
    )
    if config.pre_request is None:
        return [settings]
    return [settings, Statement(f"SELECT {quote_name(config.pre_request)}()")]


def _function_settings(plan: DatabasePlan | OpenApiPlan) -> tuple[tuple[str, str], ...]:
    return plan.function.settings if isinstance(plan, CallPlan) else ()


def make_opening(plan: DatabasePlan | OpenApiPlan, session: Session, schema: Schema) -> Statement | None:
    """An isolation level can only be chosen when the transaction begins."""
    level = _LEVELS.get(isolation_level(session, schema, _function_settings(plan)) or "")
    return None if level is None else Statement(f"BEGIN ISOLATION LEVEL {level}")
