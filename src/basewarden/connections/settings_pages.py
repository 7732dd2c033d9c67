"""`/c/<id>/settings` and `/c/<id>/delete`: each card of the settings saves by itself."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import FreshlySignedIn, ReauthRequired, confirm_beside_path, confirm_path
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.errors import as_field_error, find_hint
from basewarden.connections.forms import DeleteConnectionForm, GeneralForm, PostgresForm, ProjectForm, RoleForm
from basewarden.connections.health import list_roles
from basewarden.connections.kept_secrets import KeptSecretsDep, list_secret_fields, parse_keeping_form
from basewarden.connections.models import ENVIRONMENT_CHOICES, Environment
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.service import Connections
from basewarden.errors import AppError, NotFound
from basewarden.web import Form, Pages, PagesDep, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}", include_in_schema=False)

SettingsForm = GeneralForm | PostgresForm | ProjectForm | RoleForm
CARDS: dict[str, tuple[type[SettingsForm], str]] = {
    "general": (GeneralForm, "Name and environment saved."),
    "postgres": (PostgresForm, "Connection string saved."),
    "project": (ProjectForm, "Project API saved."),
    "role": (RoleForm, "Database role saved."),
}
_PAGE = "connections/settings.html"


@router.get("/settings")
async def get_settings(request: Request, member: Owner, pages: PagesDep, connections: ConnectionsDep) -> Response:
    context = _make_context(request, member, connections)
    return pages.render(request, _PAGE, typed=_read_saved(member), errors={}, hints={}, **context)


@router.post("/settings/{card}")
async def post_settings(
    *,
    request: Request,
    card: str,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    connections: ConnectionsDep,
    kept_secrets: KeptSecretsDep,
) -> Response:
    """Saves one card; after an error, that card keeps what was typed."""
    if card not in CARDS:
        raise NotFound
    form, kept = await parse_keeping_form(request, CARDS[card][0], kept_secrets, member.person.id)
    context = {**_make_context(request, member, connections), "refused_card": card, "kept": kept}
    if form.data is None:
        return _show_again(request, pages, member, form, None, context)
    try:
        change = form.data.as_change(member.connection)
        if change.changes_access and not member.person.is_fresh:
            context["has_gone_stale"] = True
            raise ReauthRequired
        await connections.change(session, member.connection, change, member.person.id)
    except AppError as error:
        return _show_again(request, pages, member, form, error, context)
    return redirect(f"/c/{member.connection.id}/settings?done={card}#{card}")


@router.get("/delete")
async def get_delete(request: Request, member: Owner, _: FreshlySignedIn, pages: PagesDep) -> Response:
    """Shows the delete page; an older sign-in is redirected to re-authentication first."""
    return pages.render(request, "connections/delete.html", error=None, **_make_delete_context(member))


@router.post("/delete")
async def post_delete(
    request: Request, member: Owner, session: Writing, pages: PagesDep, connections: ConnectionsDep
) -> Response:
    form = await parse_form(request, DeleteConnectionForm)
    context = _make_delete_context(member)
    if not member.person.is_fresh:
        stale = {**context, "has_gone_stale": True}
        return pages.render(request, "connections/delete.html", status=ReauthRequired.status, error=None, **stale)
    word = context["confirm_word"]
    if word is not None and (form.data is None or form.data.confirm.strip() != word):
        return pages.render(
            request,
            "connections/delete.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY,
            error="This is not the connection's name.",
            **context,
        )
    await connections.delete(session, member.connection.id)
    return redirect("/connections?done=deleted")


def _show_again(
    request: Request,
    pages: Pages,
    member: Membership,
    form: Form[Any],
    error: AppError | None,
    context: dict[str, Any],
) -> Response:
    secret = tuple(list_secret_fields(form))
    typed = {name: value for name, value in form.typed.items() if name not in secret}
    shown = replace(form, typed=_read_saved(member) | typed)
    refusal = as_field_error(error) if error is not None else None
    hints = find_hint(error)
    return show_again(request, pages, _PAGE, shown, refusal, hints=hints, **context)


def _read_saved(member: Membership) -> dict[str, str]:
    connection = member.connection
    return {
        "name": connection.name,
        "environment": connection.environment,
        "dbRole": connection.db_role or "",
        "url": connection.url or "",
    }


def _make_context(request: Request, member: Membership, connections: Connections) -> dict[str, Any]:
    card = request.query_params.get("done", "")
    return {
        "environments": ENVIRONMENT_CHOICES,
        "roles": list_roles(member),
        "address": connections.describe_address(member.connection),
        "done": CARDS[card][1] if card in CARDS else None,
        "is_fresh": member.person.is_fresh,
        "confirm_href": confirm_path(f"/c/{member.connection.id}/settings"),
        "refused_card": None,
        "kept": {},
        "changed_at": member.connection.list_changes(),
        **_make_delete_context(member),
    }


def _make_delete_context(member: Membership) -> dict[str, Any]:
    """A production connection requires its name to be typed."""
    connection = member.connection
    is_production = connection.environment == Environment.PRODUCTION
    return {
        "confirm_word": connection.name if is_production else None,
        "has_gone_stale": False,
        "confirm_beside_href": confirm_beside_path(),
    }
