"""`/c/<id>/guard`: what the guard against exfiltration does, what it finds in the project, and the owner's marks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import (
    CONFIRM_FIELD,
    ClientInfoDep,
    FormConfirmation,
    FormConfirmationDep,
    ReauthRequired,
)
from basewarden.audit import ClientInfo
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.guard.findings import GuardedTable, GuardFindings, SensitiveValues
from basewarden.connections.guard.forms import (
    FoundColumnsForm,
    GuardBase,
    GuardForm,
    TableMarks,
    TableMarksForm,
    qualify,
    write_column,
)
from basewarden.connections.guard.routes import GuardFindingsDep, GuardSettingsDep
from basewarden.connections.guard.service import GuardSettings, MakeGuard
from basewarden.connections.guard.values import GuardOptions, is_weaker, read_guard
from basewarden.connections.guard.view import ShownTable, show_table, show_tables
from basewarden.db import WriteSession
from basewarden.errors import AppError, NotFound
from basewarden.web import Form, PagesDep, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/guard", include_in_schema=False)

_PAGE: Final = "connections/guard/settings.html"
_TABLE_PAGE: Final = "connections/guard/table.html"
_MOST_SHOWN: Final = 200
_KINDS: Final = {
    "email": "email addresses",
    "card": "card numbers",
    "iban": "bank accounts",
    "jwt": "tokens",
    "private_key": "private keys",
}
_DONE: Final = {"saved": "Guard saved.", "marked": "Columns marked."}
TableName = Annotated[str, Query(max_length=200)]


@router.get("")
async def get_guard_page(request: Request, member: Owner, pages: PagesDep, findings: GuardFindingsDep) -> Response:
    guard = read_guard(member.connection)
    context = await _describe(member, findings)
    return pages.render(
        request,
        _PAGE,
        typed=_fill_in(guard),
        errors={},
        done=_DONE.get(request.query_params.get("done", "")),
        confirm_methods=None,
        **context,
    )


@router.post("")
async def post_guard(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    settings: GuardSettingsDep,
    findings: GuardFindingsDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
) -> Response:
    """Asks who it is only where agents may write more afterwards."""
    form = await parse_form(request, GuardForm)
    error: AppError | None = None
    try:
        if form.data is not None:
            await _change(session, member, settings, confirmation, form.typed, form.data.as_guard, client_info)
            return confirmation.finish(redirect(f"{_path(member)}?done=saved"))
    except AppError as refused:
        error = refused
    context = await _describe(member, findings) | await _describe_confirmation(confirmation, form, error)
    page = show_again(request, pages, _PAGE, form, error, never_shown=(CONFIRM_FIELD,), **context)
    return confirmation.finish(page)


@router.get("/table")
async def get_table(
    request: Request, member: Owner, pages: PagesDep, findings: GuardFindingsDep, name: TableName
) -> Response:
    table = await _find_table(member, findings, name)
    base = _make_base(member, name)
    return pages.render(request, _TABLE_PAGE, table=table, base=base, typed={}, errors={}, confirm_methods=None)


@router.post("/table")
async def post_table(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    settings: GuardSettingsDep,
    findings: GuardFindingsDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
    name: TableName,
) -> Response:
    """Changes the marks of one table."""
    form = await parse_form(request, TableMarksForm, lists=("marks",))
    error: AppError | None = None
    try:
        if form.data is not None:
            make = partial(form.data.as_guard, table=qualify(name))
            await _change(session, member, settings, confirmation, form.typed, make, client_info)
            return confirmation.finish(redirect(f"{_path(member)}?done=saved"))
    except AppError as refused:
        error = refused
    context: dict[str, Any] = {"table": await _find_table(member, findings, name), "base": _make_base(member, name)}
    context |= await _describe_confirmation(confirmation, form, error)
    page = show_again(request, pages, _TABLE_PAGE, form, error, never_shown=(CONFIRM_FIELD,), **context)
    return confirmation.finish(page)


@router.post("/sample")
async def post_guard_sample(request: Request, member: Owner, pages: PagesDep, findings: GuardFindingsDep) -> Response:
    """Shows which columns have values that look sensitive; only saving them marks any."""
    sampled: Sequence[SensitiveValues] = ()
    errors: dict[str, str] = {}
    try:
        sampled = await findings.sample_values(member.connection.id)
    except AppError as error:
        errors = {"": error.text}
    context = await _describe(member, findings)
    context |= {"sampled": [(one, write_column(one.table, one.column)) for one in sampled], "is_sampled": True}
    typed = _fill_in(read_guard(member.connection))
    return pages.render(request, _PAGE, typed=typed, errors=errors, done=None, confirm_methods=None, **context)


@router.post("/marks")
async def post_marks(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    settings: GuardSettingsDep,
    findings: GuardFindingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Marks columns that were found by their values, which never needs a fresh sign-in."""
    form = await parse_form(request, FoundColumnsForm, lists=("columns",))
    error: AppError | None = None
    try:
        if form.data is not None:
            await settings.change(session, member, form.data.as_guard, client_info, is_confirmed=False)
            return redirect(f"{_path(member)}?done=marked")
    except AppError as refused:
        error = refused
    context = await _describe(member, findings)
    form = replace(form, typed={**form.typed, **_fill_in(read_guard(member.connection))})  # the other form of the page
    return show_again(request, pages, _PAGE, form, error, done=None, confirm_methods=None, **context)


async def _change(
    session: WriteSession,
    member: Membership,
    settings: GuardSettings,
    confirmation: FormConfirmation,
    typed: Mapping[str, str],
    make: MakeGuard,
    client_info: ClientInfo,
) -> None:
    known = read_guard(member.connection)
    is_asked = is_weaker(known, make(known))
    if is_asked:
        await confirmation.confirm(typed)
    is_confirmed = is_asked or member.person.is_fresh
    await settings.change(session, member, make, client_info, is_confirmed=is_confirmed)


async def _describe_confirmation(
    confirmation: FormConfirmation, form: Form[Any], error: AppError | None
) -> dict[str, Any]:
    is_stale = isinstance(error, ReauthRequired)
    shown = form if error is None or is_stale else form.with_app_error(error)
    is_asked = is_stale or CONFIRM_FIELD in shown.errors
    return {
        "confirm_methods": await confirmation.describe() if is_asked else None,
        "has_gone_stale": is_stale,
        "done": None,
    }


async def _describe(member: Membership, findings: GuardFindings) -> dict[str, Any]:
    found = await findings.list_tables(member.connection.id)
    tables = show_tables(found, read_guard(member.connection))
    shown = [one for one in tables if one.matters]
    return {
        "tables": shown[:_MOST_SHOWN],
        "others": [one for one in tables if not one.matters][:_MOST_SHOWN],
        "is_listed": found is not None,
        "more": max(0, len(shown) - _MOST_SHOWN),
        "has_gone_stale": False,
        "kinds": _KINDS,
        "sampled": (),
        "is_sampled": False,
    }


async def _find_table(member: Membership, findings: GuardFindings, name: str) -> ShownTable:
    """Raises NotFound for one that the project does not have; where it lists none, any may be marked."""
    table, guard = qualify(name), read_guard(member.connection)
    found = await findings.list_tables(member.connection.id)
    known = next((one for one in show_tables(found, guard) if one.name == table), None)
    if known is None and found is not None:
        raise NotFound("There is no such table.")
    return known or show_table(GuardedTable(table, (), ()), guard, is_listed=False)


def _fill_in(guard: GuardOptions) -> dict[str, str]:
    boxes = {name: "true" for name, is_on in (("blocks", guard.blocks), ("holds", guard.holds)) if is_on}
    return {**boxes, "base": GuardBase.read(guard).model_dump_json()}


def _make_base(member: Membership, name: str) -> str:
    return TableMarks.read(read_guard(member.connection), qualify(name)).model_dump_json()


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/guard"
