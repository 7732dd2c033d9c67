"""`/connections/new`: the form that connects a project; works without JavaScript."""

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, SignedIn, require_person
from basewarden.connections.form_errors import as_field_error, find_hint, mask_secret
from basewarden.connections.forms import NewConnectionForm
from basewarden.connections.kept_secrets import KeptSecretsDep, list_secret_fields, parse_keeping_form
from basewarden.connections.models import ENVIRONMENT_CHOICES, Environment
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.warnings import LOGIN_SQL
from basewarden.errors import AppError
from basewarden.web import Form, Pages, PagesDep, Writing, redirect, show_again

router = APIRouter(prefix="/connections/new", include_in_schema=False)

_CONTEXT: dict[str, Any] = {"environments": ENVIRONMENT_CHOICES, "login_sql": LOGIN_SQL}
_PAGE = "connections/new.html"
_PROJECT_FIELDS = ("url", "key")


@router.get("", dependencies=[Depends(require_person)])
async def get_new(request: Request, pages: PagesDep) -> Response:
    typed = {"environment": Environment.DEVELOPMENT}
    return pages.render(
        request, _PAGE, typed=typed, errors={}, hints={}, kept={}, kept_as={}, tab="postgres", **_CONTEXT
    )


@router.post("")
async def post_new(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    connections: ConnectionsDep,
    kept_secrets: KeptSecretsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Creates a connection; after an error, the form keeps its values, and its secrets sealed."""
    form, kept = await parse_keeping_form(request, NewConnectionForm, kept_secrets, person.id)
    if form.data is None:
        return _show_again(request, pages, form, None, kept)
    try:
        connection = await connections.create(session, form.data, person, client_info)
    except AppError as error:
        return _show_again(request, pages, form, as_field_error(error, form.typed), kept, find_hint(error))
    return redirect(f"/c/{connection.id}?done=created")


def _show_again(
    request: Request,
    pages: Pages,
    form: Form[Any],
    error: AppError | None,
    kept: dict[str, str],
    hints: dict[str, str] | None = None,
) -> Response:
    refused = form if error is None else form.with_app_error(error)
    return show_again(
        request,
        pages,
        _PAGE,
        form,
        error,
        never_shown=tuple(list_secret_fields(form)),
        kept=kept,
        kept_as={field: mask_secret(field, form.typed.get(field, "")) for field in kept},
        hints=hints or {},
        tab=_choose_tab(form, refused.errors),
        **_CONTEXT,
    )


def _choose_tab(form: Form[Any], errors: dict[str, str]) -> str:
    """Chooses the tab that has an error, or else the one that the form was sent from."""
    if "postgresUrl" in errors and not any(field in errors for field in _PROJECT_FIELDS):
        return "postgres"
    if any(field in errors for field in _PROJECT_FIELDS) and "postgresUrl" not in errors:
        return "project"
    return "project" if form.typed.get("by") == "project" else "postgres"
