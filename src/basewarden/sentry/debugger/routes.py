"""`/api/connections/<id>/sentry/tables/<table>`: what a table's policies mean, and trials as a caller."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator

from basewarden.connections import Editor, Viewer
from basewarden.core.addresses import decode_table
from basewarden.core.text import check_storable
from basewarden.errors import NotFound, TooMany
from basewarden.sentry.debugger.errors import TrialFailed
from basewarden.sentry.debugger.policy_words import describe_policies
from basewarden.sentry.debugger.schemas import (
    ListedTablesOut,
    TablePoliciesOut,
    TrialBody,
    TrialOut,
    list_body,
    table_body,
    trial_body,
)
from basewarden.sentry.debugger.service import PolicyDebugger
from basewarden.web import declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sentry/tables", tags=["row-security"])

PolicyDebuggerDep = Annotated[PolicyDebugger, Depends(inject(PolicyDebugger))]
TableSearch = Annotated[str, Query(max_length=200), AfterValidator(check_storable)]


@router.get("", summary="Lists tables with their row level security.", responses=declare(TrialFailed))
async def get_tables(member: Viewer, debugger: PolicyDebuggerDep, q: TableSearch = "") -> ListedTablesOut:
    """Those whose names contain `q`. Needs a Postgres connection string."""
    return list_body(await debugger.list_tables(member.connection.id, q))


@router.get(
    "/{table}", summary="Returns the policies of a table in words, and who may do what.", responses=declare(TrialFailed)
)
async def get_policies_of_table(table: str, member: Viewer, debugger: PolicyDebuggerDep) -> TablePoliciesOut:
    """`table` is a schema and a name, such as `public.notes`. Needs a Postgres connection string."""
    found = await debugger.read_table(member.connection.id, *read_name(table))
    return table_body(found, await asyncio.to_thread(describe_policies, found))


@router.post(
    "/{table}/trials", summary="Tries a command as a role with claims.", responses=declare(TooMany, TrialFailed)
)
async def post_trial(table: str, body: TrialBody, member: Editor, debugger: PolicyDebuggerDep) -> TrialOut:
    """In a transaction that is rolled back. Triggers run: what they do outside of the database stays."""
    found = await debugger.read_table(member.connection.id, *read_name(table))
    return trial_body(await debugger.try_as(member, found, body.as_wish()))


def read_name(table: str) -> tuple[str, str]:
    """Raises NotFound."""
    name = decode_table(table)
    if name is None or "\0" in table or len(table) > 1_000:
        raise NotFound("There is no such table. A table's path is its schema and its name, such as public.orders.")
    return name
