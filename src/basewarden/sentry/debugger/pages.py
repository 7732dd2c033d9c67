"""`/c/<id>/sentry/tables/<table>`: the policies of a table in words, and a form to try a command as a caller."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor, Membership, Role, Viewer
from basewarden.core.addresses import policies_path, table_path
from basewarden.errors import AppError
from basewarden.sentry.debugger.claims import MAX_CLAIMS, make_user_id
from basewarden.sentry.debugger.facts import MOST_LISTED, DebuggedTable
from basewarden.sentry.debugger.policy_words import describe_policies
from basewarden.sentry.debugger.requests import MAX_ROW, TrialCommand, TrialWish
from basewarden.sentry.debugger.routes import PolicyDebuggerDep, TableSearch, read_name
from basewarden.sentry.debugger.schemas import list_column_rights
from basewarden.sentry.debugger.trial import MOST_SAMPLED
from basewarden.sentry.debugger.verdicts import TrialVerdict, describe_result
from basewarden.sentry.queries import list_open_by_table
from basewarden.web import PagesDep, Reading, RequestBody, parse_form, show_again

router = APIRouter(prefix="/c/{connection_id}/sentry/tables", include_in_schema=False)

_TEMPLATE: Final = "sentry/table.html"
_COMMANDS: Final = (
    (TrialCommand.SELECT, "Select"),
    (TrialCommand.INSERT, "Insert"),
    (TrialCommand.UPDATE, "Update"),
    (TrialCommand.DELETE, "Delete"),
)


class TrialForm(RequestBody):
    model_config = ConfigDict(extra="ignore")

    command: TrialCommand = TrialCommand.SELECT
    role: Annotated[str, Field(max_length=63)] = ""
    user_id: Annotated[str, Field(max_length=200)] = ""
    claims: Annotated[str, Field(max_length=MAX_CLAIMS)] = ""
    row: Annotated[str, Field(max_length=MAX_ROW)] = ""
    runs_code: bool = False

    def as_wish(self) -> TrialWish:
        return TrialWish(self.command, self.role, self.user_id, self.claims, self.row, self.runs_code)


@router.get("")
async def get_tables_page(
    request: Request, member: Viewer, pages: PagesDep, debugger: PolicyDebuggerDep, db: Reading, q: TableSearch = ""
) -> Response:
    connection_id = member.connection.id
    tables = await debugger.list_tables(connection_id, q.strip()) if member.connection.is_direct else ()
    findings = await list_open_by_table(db, connection_id)
    return pages.render(
        request,
        "sentry/tables.html",
        here=f"/c/{connection_id}/sentry/tables",
        search=q,
        tables=[
            (
                _name_table(one.schema, one.name),
                policies_path(connection_id, one.schema, one.name),
                one,
                findings.get((one.schema, one.name), ()),
            )
            for one in tables
        ],
        most=MOST_LISTED,
    )


@router.get("/{table}")
async def get_table_page(
    request: Request, table: str, member: Viewer, pages: PagesDep, debugger: PolicyDebuggerDep
) -> Response:
    found = await _find(member, table, debugger)
    return pages.render(request, _TEMPLATE, typed={}, errors={}, **await _make_context(member, table, found))


@router.post("/{table}/trial")
async def post_trial_form(
    request: Request, table: str, member: Editor, pages: PagesDep, debugger: PolicyDebuggerDep
) -> Response:
    found = await debugger.read_table(member.connection.id, *read_name(table))
    form = await parse_form(request, TrialForm)
    refused = None
    if form.data is not None:
        try:
            result = await debugger.try_as(member, found, form.data.as_wish())
        except AppError as error:
            refused = error
        else:
            context = await _make_context(member, table, found, describe_result(result))
            return pages.render(request, _TEMPLATE, typed=form.typed, errors={}, **context)
    return show_again(request, pages, _TEMPLATE, form, refused, **await _make_context(member, table, found))


async def _find(member: Membership, table: str, debugger: PolicyDebuggerDep) -> DebuggedTable | None:
    """None for a connection that has an API alone, whose page says so."""
    name = read_name(table)
    return await debugger.read_table(member.connection.id, *name) if member.connection.is_direct else None


async def _make_context(
    member: Membership, segment: str, table: DebuggedTable | None, verdict: TrialVerdict | None = None
) -> Mapping[str, Any]:
    schema, name = read_name(segment)
    return {
        "here": policies_path(member.connection.id, schema, name),
        "table": table,
        "table_name": _name_table(schema, name),
        "data_href": table_path(member.connection.id, schema, name),
        "policies": await asyncio.to_thread(describe_policies, table) if table is not None else (),
        "role_rows": _list_roles(table) if table is not None else (),
        "role_choices": [(one.name, one.name) for one in table.tried_roles] if table is not None else (),
        "verdict": verdict,
        "commands": _COMMANDS,
        "sampled": MOST_SAMPLED,
        "made_up": make_user_id(),
        "side_effects": _list_effects(table) if table is not None else (),
        "can_try": member.role.includes(Role.EDITOR),
    }


def _name_table(schema: str, name: str) -> str:
    return name if schema == "public" else f"{schema}.{name}"


def _list_roles(table: DebuggedTable) -> Sequence[tuple[str, str, str]]:
    """Name, rights and what else is known of it."""
    rows = []
    for role in table.roles:
        rights = [one.upper() for one in role.rights] if role.may_enter else []
        rights += [f"{command.upper()} ({', '.join(names)})" for command, names in list_column_rights(role)]
        notes = [] if role.may_enter else [f"may not enter the schema {table.schema}"]
        if role.passes and table.has_rls:
            notes.append("policies are not asked: " + ("BYPASSRLS" if role.bypasses else "it owns the table"))
        if not role.may_try:
            notes.append("the login of this connection may not become it, so it cannot be tried")
        rows.append((role.name, ", ".join(rights) or "none", "; ".join(notes)))
    return rows


def _list_effects(table: DebuggedTable) -> Sequence[tuple[str, str]]:
    """What a write runs: the commands, and what."""
    effects = [
        (" or ".join(one.commands), f"trigger {one.name} runs {one.function}()")
        for one in table.triggers
        if one.commands
    ]
    effects += [(command, "a rewrite rule runs other statements") for command in dict.fromkeys(table.rules)]
    effects += [("delete", f"also changes or deletes rows of {one}") for one in table.cascades]
    return [
        *effects,
        *(("update", f"also changes rows of {one}, where it changes the key") for one in table.update_cascades),
    ]
