"""`/c/<id>/settings` and `/c/<id>/delete`: each card of the settings saves by itself."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import CONFIRM_FIELD, ClientInfoDep, FormConfirmationDep, ReauthRequired
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.form_errors import as_field_error, find_hint
from basewarden.connections.forms import (
    DeleteConnectionForm,
    GeneralForm,
    PostgresForm,
    ProjectForm,
    RoleForm,
    SchemasForm,
)
from basewarden.connections.kept_secrets import KeptSecretsDep, list_secret_fields, parse_keeping_form
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.settings_view import SettingsViewDep, find_confirm_word
from basewarden.errors import AppError, Invalid, NotFound
from basewarden.web import Form, Pages, PagesDep, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}", include_in_schema=False)

SettingsForm = GeneralForm | PostgresForm | ProjectForm | RoleForm | SchemasForm
CARDS: dict[str, tuple[type[SettingsForm], str]] = {
    "general": (GeneralForm, "Name and environment saved."),
    "postgres": (PostgresForm, "Connection string saved."),
    "project": (ProjectForm, "Project API saved."),
    "role": (RoleForm, "Database role saved."),
    "schemas": (SchemasForm, "Exposed schemas saved."),
}
_PAGE = "connections/settings.html"


@router.get("/settings")
async def get_settings(request: Request, member: Owner, pages: PagesDep, view: SettingsViewDep) -> Response:
    card = request.query_params.get("done", "")
    context = {**await view.describe(), "done": CARDS[card][1] if card in CARDS else None}
    return pages.render(request, _PAGE, typed=_read_saved(member), errors={}, hints={}, **context)


@router.post("/settings/{card}")
async def post_settings(
    *,
    request: Request,
    card: str,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    view: SettingsViewDep,
    connections: ConnectionsDep,
    kept_secrets: KeptSecretsDep,
    confirmation: FormConfirmationDep,
) -> Response:
    """Saves one card; after an error, that card keeps what was typed."""
    if card not in CARDS:
        raise NotFound
    form, kept = await parse_keeping_form(request, CARDS[card][0], kept_secrets, member.person.id)
    error: AppError | None = None
    try:
        if form.data is not None:
            change = form.data.as_change(member.connection)
            if change.changes_access:
                await confirmation.confirm(form.typed)
            await connections.change(session, member.connection, change, member.person.id)
            return confirmation.finish(redirect(f"/c/{member.connection.id}/settings?done={card}#{card}"))
    except AppError as refused:
        error = refused
    context = {**await view.describe(), "refused_card": card, "kept": kept}
    context["has_gone_stale"] = isinstance(error, ReauthRequired)
    return confirmation.finish(_show_again(request, pages, member, form, error, context))


@router.get("/delete")
async def get_delete(request: Request, pages: PagesDep, view: SettingsViewDep) -> Response:
    return pages.render(request, "connections/delete.html", errors={}, **await view.describe_delete())


@router.post("/delete")
async def post_delete(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    view: SettingsViewDep,
    connections: ConnectionsDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, DeleteConnectionForm)
    word = find_confirm_word(member)
    try:
        if word is not None and (form.data is None or form.data.confirm.strip() != word):
            raise Invalid.field("confirm", "This is not the connection's name.")
        await confirmation.confirm(form.typed)
    except AppError as error:
        context = {**await view.describe_delete(), "has_gone_stale": isinstance(error, ReauthRequired)}
        return show_again(request, pages, "connections/delete.html", form, error, **context)
    await connections.delete(session, member.connection, member.person, client_info)
    return confirmation.finish(redirect("/connections?done=deleted"))


def _show_again(
    request: Request,
    pages: Pages,
    member: Membership,
    form: Form[Any],
    error: AppError | None,
    context: dict[str, Any],
) -> Response:
    secret = (*list_secret_fields(form), CONFIRM_FIELD)
    typed = {name: value for name, value in form.typed.items() if name not in secret}
    shown = replace(form, typed=_read_saved(member) | typed)
    refusal = as_field_error(error, form.typed) if error is not None else None
    hints = find_hint(error)
    return show_again(request, pages, _PAGE, shown, refusal, hints=hints, **context)


def _read_saved(member: Membership) -> dict[str, str]:
    connection = member.connection
    return {
        "name": connection.name,
        "environment": connection.environment,
        "dbRole": connection.db_role or "",
        "schemas": ", ".join(connection.schemas or ()),
        "url": connection.url or "",
    }
