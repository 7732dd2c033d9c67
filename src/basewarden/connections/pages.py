"""The pages of connections; every form works without JavaScript."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import (
    FreshlySignedIn,
    ReauthRequired,
    SignedIn,
    confirm_beside_path,
    confirm_path,
    require_person,
)
from basewarden.connections.agents import count_agents
from basewarden.connections.callers import Membership, Owner, Viewer
from basewarden.connections.errors import ConnectionFailed
from basewarden.connections.forms import DeleteConnectionForm, SettingsForm
from basewarden.connections.models import Connection, Environment, Role
from basewarden.connections.probe import ServerFacts
from basewarden.connections.refusal_counts import RefusalCounts
from basewarden.connections.rest.probe import RestFacts
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.schemas import ConnectionCreate
from basewarden.connections.service import Connections, list_connections
from basewarden.connections.warnings import LOGIN_SQL, list_rest_warnings, list_warnings
from basewarden.errors import AppError
from basewarden.web import Form, PagesDep, Reading, Writing, inject, parse_form, redirect, show_again

router = APIRouter(include_in_schema=False)
rooms = APIRouter(prefix="/c/{connection_id}")

RefusalCountsDep = Annotated[RefusalCounts, Depends(inject(RefusalCounts))]

_PAGE_ROWS = 50
_LATELY = timedelta(days=1)
_ENVIRONMENTS = [
    (Environment.DEVELOPMENT, "Development", None),
    (Environment.STAGING, "Staging", None),
    (Environment.PRODUCTION, "Production", "Marked on every page. Deleting it requires its name."),
    (Environment.OTHER, "Other", None),
]
_NEW: dict[str, Any] = {"environments": _ENVIRONMENTS, "login_sql": LOGIN_SQL}
_SECRETS = ("postgresUrl", "key")
_DONE = {
    "created": "Connected. Create an agent next.",
    "saved": "Saved.",
    "deleted": "Connection deleted. Its database was not changed.",
}


@router.get("/connections")
async def get_list(
    request: Request, person: SignedIn, session: Reading, pages: PagesDep, before: UUID | None = None
) -> Response:
    rows = await list_connections(session, person.id, before=before, limit=_PAGE_ROWS + 1)
    shown = rows[:_PAGE_ROWS]
    return pages.render(
        request,
        "connections/list.html",
        rows=[(connection, Role(role)) for connection, role in shown],
        next_href=f"/connections?before={shown[-1][0].id}" if len(rows) > _PAGE_ROWS else None,
        is_first=before is None,
        done=_find_done(request),
    )


@router.get("/connections/new", dependencies=[Depends(require_person)])
async def get_new(request: Request, pages: PagesDep) -> Response:
    typed = {"environment": Environment.DEVELOPMENT}
    return pages.render(request, "connections/new.html", typed=typed, errors={}, hint=None, **_NEW)


@router.post("/connections/new")
async def post_new(
    request: Request, person: SignedIn, session: Writing, pages: PagesDep, connections: ConnectionsDep
) -> Response:
    """Creates a connection; after an error, the form keeps its values except secrets."""
    form = await parse_form(request, ConnectionCreate)
    if form.data is None:
        return show_again(
            request,
            pages,
            "connections/new.html",
            form,
            hint=None,
            never_shown=_list_secret_fields(form),
            **_NEW,
        )
    try:
        connection = await connections.create(session, form.data, person.id)
    except AppError as error:
        return show_again(
            request,
            pages,
            "connections/new.html",
            form,
            _as_field_error(error),
            hint=_hint_of(error),
            never_shown=_list_secret_fields(form),
            **_NEW,
        )
    return redirect(f"/c/{connection.id}?done=created")


@rooms.get("")
async def get_home(
    *,
    request: Request,
    member: Viewer,
    session: Reading,
    pages: PagesDep,
    connections: ConnectionsDep,
    blocked: RefusalCountsDep,
) -> Response:
    """Shows a connection; `?check` probes it now, which the page itself requests with JavaScript."""
    health = await _check(member, connections) if "check" in request.query_params else None
    return pages.render(
        request,
        "connections/home.html",
        member=member,
        agents=await count_agents(session, member.connection.id),
        blocked=await blocked.count_since(session, member.connection.id, datetime.now(UTC) - _LATELY),
        health=health or _last_health(member),
        done=_find_done(request),
    )


@rooms.get("/health")
async def get_health(request: Request, member: Viewer, pages: PagesDep, connections: ConnectionsDep) -> Response:
    """Renders the part of the home page that shows the database's current health."""
    health = await _check(member, connections)
    return pages.render(request, "connections/health.html", member=member, health=health)


@rooms.get("/settings")
async def get_settings(request: Request, member: Owner, pages: PagesDep) -> Response:
    connection = member.connection
    typed = {
        "name": connection.name,
        "environment": connection.environment,
        "dbRole": connection.db_role or "",
        "url": connection.url or "",
    }
    context = _settings_context(request, member)
    return pages.render(request, "connections/settings.html", typed=typed, errors={}, hint=None, **context)


@rooms.post("/settings")
async def post_settings(
    request: Request, member: Owner, session: Writing, pages: PagesDep, connections: ConnectionsDep
) -> Response:
    context = _settings_context(request, member)
    form = await parse_form(request, SettingsForm)
    if form.data is None:
        return show_again(
            request,
            pages,
            "connections/settings.html",
            form,
            never_shown=_list_secret_fields(form),
            hint=None,
            **context,
        )
    change = form.data.as_change(member.connection)
    if change.changes_access and not member.person.is_fresh:
        stale = {**context, "has_gone_stale": True}
        return show_again(
            request,
            pages,
            "connections/settings.html",
            form,
            ReauthRequired(),
            never_shown=_list_secret_fields(form),
            hint=None,
            **stale,
        )
    try:
        await connections.change(session, member.connection, change, member.person.id)
    except AppError as error:
        refusal = _as_field_error(error)
        return show_again(
            request,
            pages,
            "connections/settings.html",
            form,
            refusal,
            never_shown=_list_secret_fields(form),
            hint=_hint_of(error),
            **context,
        )
    return redirect(f"/c/{member.connection.id}/settings?done=saved")


@rooms.get("/delete")
async def get_delete(request: Request, member: Owner, _: FreshlySignedIn, pages: PagesDep) -> Response:
    """Shows the delete page; an older sign-in is redirected to re-authentication first."""
    return pages.render(request, "connections/delete.html", error=None, **_delete_context(member))


@rooms.post("/delete")
async def post_delete(
    request: Request, member: Owner, session: Writing, pages: PagesDep, connections: ConnectionsDep
) -> Response:
    form = await parse_form(request, DeleteConnectionForm)
    context = _delete_context(member)
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


router.include_router(rooms)


async def _check(member: Membership, connections: Connections) -> dict[str, Any]:
    try:
        facts = await connections.check(member.connection, member.person.id)
    except ConnectionFailed as error:
        return _last_health(member) | {"failure": error, "checked_at": None}
    return _show_facts(facts, member) | {"checked_at": None}


def _last_health(member: Membership) -> dict[str, Any]:
    return _show_facts(_read_facts(member.connection), member) | {"checked_at": member.connection.probed_at}


def _show_facts(facts: ServerFacts | RestFacts, member: Membership) -> dict[str, Any]:
    if isinstance(facts, RestFacts):
        return {"facts": facts, "is_direct": False, "warnings": list(list_rest_warnings(facts)), "failure": None}
    warnings = list(list_warnings(facts, member.connection.assumed_role))
    return {"facts": facts, "is_direct": True, "warnings": warnings, "failure": None}


def _read_facts(connection: Connection) -> ServerFacts | RestFacts:
    if connection.facts is not None:
        return ServerFacts.from_json(connection.facts)
    assert connection.rest_facts is not None
    return RestFacts.from_json(connection.rest_facts)


def _settings_context(request: Request, member: Membership) -> dict[str, Any]:
    return {
        "member": member,
        "environments": _ENVIRONMENTS,
        "roles": list_roles(member),
        "done": _find_done(request),
        "is_fresh": member.person.is_fresh,
        "confirm_href": confirm_path(f"/c/{member.connection.id}/settings"),
        **_delete_context(member),
    }


def _delete_context(member: Membership) -> dict[str, Any]:
    """A production connection requires its name to be typed."""
    connection = member.connection
    is_production = connection.environment == Environment.PRODUCTION
    return {
        "confirm_word": connection.name if is_production else None,
        "has_gone_stale": False,
        "confirm_beside_href": confirm_beside_path(),
    }


def _list_secret_fields(form: Form[Any]) -> tuple[str, ...]:
    """Lists fields with secrets; a connection string that was pasted as a project's URL contains a password."""
    return (*_SECRETS, "url") if "@" in form.typed.get("url", "") else _SECRETS


def list_roles(member: Membership) -> list[tuple[str, str]]:
    """Lists the roles that the last probe found usable; "" is the default role."""
    facts = _read_facts(member.connection)
    if isinstance(facts, RestFacts):
        return []
    return [(role.name, role.name) for role in facts.roles if not role.is_superuser]


def _find_done(request: Request) -> str | None:
    return _DONE.get(request.query_params.get("done", ""))


def _as_field_error(error: AppError) -> AppError:
    """Shows a failed probe beside the field that was probed."""
    return error.as_field_error() if isinstance(error, ConnectionFailed) else error


def _hint_of(error: AppError) -> tuple[str, str] | None:
    """Returns the field that a probe's hint is about, and the hint."""
    return (error.field_name, error.hint or "") if isinstance(error, ConnectionFailed) else None
