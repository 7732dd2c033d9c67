"""The page with the form of an agent, a new one or one that is changed: at first, and after it was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import CONFIRM_FIELD, FormConfirmation, FormConfirmationDep, ReauthRequired
from basewarden.connections.agent_form_keys import FORM_KEY, AgentFormKeys
from basewarden.connections.agent_forms import (
    EXPIRIES,
    MAX_LISTED,
    READ_PREFIX,
    STEPS,
    TEMPLATES,
    find_step,
    gather_errors,
)
from basewarden.connections.agent_words import describe_policy, group_policy, shorten_table
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.health import list_roles
from basewarden.connections.models import Agent
from basewarden.connections.project_tables import ProjectTables
from basewarden.errors import AppError
from basewarden.web import Form, Pages, PagesDep, inject

AgentFormKeysDep = Annotated[AgentFormKeys, Depends(inject(AgentFormKeys))]
ProjectTablesDep = Annotated[ProjectTables, Depends(inject(ProjectTables))]


@dataclass(frozen=True, slots=True)
class TableChoice:
    """`items` are value, text, whether it is ticked, and whether it may only be read; `typed` holds what has no box.

    `is_listed`: names are known.
    """

    items: list[tuple[str, str, bool, bool]]
    typed: str
    is_listed: bool
    more: int


class AgentFormPage:
    """The form for one request; `tables` are those of the connection's project."""

    def __init__(
        self,
        *,
        request: Request,
        member: Membership,
        pages: Pages,
        tables: ProjectTables,
        keys: AgentFormKeys,
        confirmation: FormConfirmation,
    ) -> None:
        self.tables = tables
        self._request = request
        self._member = member
        self._pages = pages
        self._keys = keys
        self._confirmation = confirmation

    def read_key(self, typed: Mapping[str, str]) -> UUID | None:
        """Reads the id of the agent that the form creates; None where it names none."""
        return self._keys.read(self._member.connection.id, self._member.person.id, typed.get(FORM_KEY, ""))

    async def describe(
        self,
        typed: Mapping[str, str],
        errors: Mapping[str, str] | None = None,
        template: str | None = None,
        *,
        agent: Agent | None = None,
        is_asked: bool = False,
    ) -> dict[str, Any]:
        """Returns what the template reads; `agent` is the one that is changed.

        A change asks for the identity only where it needs one, which is known once it was sent: `is_asked`.
        """
        connection = self._member.connection
        listed = await self.tables.list_names(connection.id)
        key = typed[FORM_KEY] if self.read_key(typed) else self._keys.make(connection.id, self._member.person.id)
        return {
            "here": f"/c/{connection.id}/agents",
            "typed": _list_typed(typed),
            "column_tables": list(listed or ())[:MAX_LISTED],
            "errors": errors or {},
            "choice": _make_choice(listed, typed),
            "steps": [title for title, _ in STEPS],
            "step": find_step(errors or ()),
            "templates": TEMPLATES,
            "expiries": EXPIRIES,
            "chosen_template": template,
            "roles": _list_roles(self._member, typed),
            "form_key": key,
            "agent": agent,
            "policy": group_policy(describe_policy(agent, connection.role)) if agent is not None else [],
            "confirm_methods": await self._confirmation.describe() if agent is None or is_asked else None,
            "has_gone_stale": False,
        }

    async def show_again(
        self, form: Form[Any], error: AppError | None = None, *, agent: Agent | None = None
    ) -> Response:
        """Renders the form with all that was typed, at the step with the first error or the one that asks who it is."""
        is_stale = isinstance(error, ReauthRequired)
        refused = form if error is None or is_stale else form.with_app_error(error)
        is_asked = is_stale or CONFIRM_FIELD in refused.errors
        context = await self.describe(form.typed, gather_errors(refused.errors), agent=agent, is_asked=is_asked)
        if is_stale:
            context |= {"has_gone_stale": True, "step": len(STEPS)}
        status = HTTPStatus.UNPROCESSABLE_ENTITY if error is None else error.status
        template = "connections/agent_new.html" if agent is None else "connections/agent_edit.html"
        response = self._pages.render(self._request, template, status=status, **context)
        response.headers.update({} if error is None else error.headers)
        return self._confirmation.finish(response)


async def _make_form_page(
    request: Request,
    member: Owner,
    pages: PagesDep,
    tables: ProjectTablesDep,
    keys: AgentFormKeysDep,
    confirmation: FormConfirmationDep,
) -> AgentFormPage:
    return AgentFormPage(
        request=request, member=member, pages=pages, tables=tables, keys=keys, confirmation=confirmation
    )


AgentFormPageDep = Annotated[AgentFormPage, Depends(_make_form_page)]


def _list_typed(typed: Mapping[str, str]) -> dict[str, str]:
    """The choices for columns are shown again as the lines that they are."""
    shown = {name: value for name, value in typed.items() if name not in (CONFIRM_FIELD, "columnRule")}
    lines = [*typed.get("columns", "").splitlines(), *typed.get("columnRule", "").splitlines()]
    return {**shown, "columns": "\n".join(dict.fromkeys(filter(None, lines)))}


def _list_roles(member: Membership, typed: Mapping[str, str]) -> list[tuple[str, str]]:
    """A role that the last probe did not find stays chosen: a form must not change what was not touched."""
    roles, chosen = list_roles(member), typed.get("dbRole", "")
    return [*roles, (chosen, chosen)] if chosen and chosen not in dict(roles) else roles


def _make_choice(listed: Sequence[str] | None, typed: Mapping[str, str]) -> TableChoice:
    names = list(listed or ())
    ticked = dict.fromkeys(name for name in typed.get("table", "").split("\n") if name)
    only_read = set(typed.get("readTable", "").split("\n"))
    shown = names[:MAX_LISTED]
    rest = [READ_PREFIX + name if name in only_read else name for name in ticked if name not in set(shown)]
    lines = "\n".join(filter(None, [typed.get("tables", ""), *rest]))
    items = [(name, shorten_table(name), name in ticked, name in only_read) for name in shown]
    return TableChoice(items, lines, listed is not None, len(names) - len(shown))
