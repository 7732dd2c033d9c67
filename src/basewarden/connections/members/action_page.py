"""Shows what a change of a member will do, before it is made: as a page, or as the inside of a dialog."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import FormConfirmation, FormConfirmationDep, ReauthRequired
from basewarden.connections.callers import Membership, Viewer
from basewarden.connections.members.view import make_members_path
from basewarden.connections.members.words import ROLE_CHOICES, MemberAction
from basewarden.errors import AppError
from basewarden.web import Form, Pages, PagesDep, redirect, show_again

_PAGE = "connections/members/action.html"
_PART = "connections/members/action_part.html"


class ActionPage:
    """`show` asks, `submit` does it, and `show_again` says why it was refused."""

    def __init__(self, *, request: Request, member: Membership, pages: Pages, confirmation: FormConfirmation) -> None:
        self._request = request
        self._member = member
        self._pages = pages
        self._confirmation = confirmation

    async def show(self, action: MemberAction, role: str | None = None) -> Response:
        """`role` is the member's current one, where another can be chosen; `?part` asks for the inside of a dialog."""
        context = await self._describe(action, role)
        template = _PART if "part" in self._request.query_params else _PAGE
        return self._pages.render(self._request, template, typed={"role": role}, errors={}, **context)

    async def submit(
        self,
        action: MemberAction,
        form: Form[Any],
        change: Callable[[], Awaitable[object]],
        done: str,
        *,
        role: str | None = None,
    ) -> Response:
        """Makes the change, after the person's identity is confirmed where it needs that, and leads to `done`."""
        try:
            if action.needs_identity:
                await self._confirmation.confirm(form.typed)
            await change()
        except AppError as error:
            return await self.show_again(action, form, error, role)
        return self._confirmation.finish(redirect(done))

    async def show_again(
        self, action: MemberAction, form: Form[Any], error: AppError | None = None, role: str | None = None
    ) -> Response:
        context = await self._describe(action, role)
        context["has_gone_stale"] = isinstance(error, ReauthRequired)
        response = show_again(self._request, self._pages, _PAGE, form, error, **context)
        return self._confirmation.finish(response)

    async def _describe(self, action: MemberAction, role: str | None) -> dict[str, Any]:
        return {
            "here": make_members_path(self._member),
            "action": action,
            "role_choices": ROLE_CHOICES if role is not None else None,
            "confirm_methods": await self._confirmation.describe() if action.needs_identity else None,
            "has_gone_stale": False,
        }


async def _make_action_page(
    request: Request, member: Viewer, pages: PagesDep, confirmation: FormConfirmationDep
) -> ActionPage:
    return ActionPage(request=request, member=member, pages=pages, confirmation=confirmation)


ActionPageDep = Annotated[ActionPage, Depends(_make_action_page)]
