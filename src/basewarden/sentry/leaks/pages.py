"""`/c/<id>/sentry/leaks`: looks for leaked secrets in a pasted text or a site. What was pasted is never sent back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Membership, Owner, Role, Viewer
from basewarden.errors import AppError
from basewarden.sentry.leaks.kinds import LEAKS, PUBLIC, LeakWords
from basewarden.sentry.leaks.reports import LeakPlace, LeakReport
from basewarden.sentry.leaks.routes import LeakScansDep
from basewarden.sentry.leaks.site_urls import MAX_URL_LENGTH
from basewarden.web import PagesDep, parse_form, parse_large_form, show_again

router = APIRouter(prefix="/c/{connection_id}/sentry/leaks", include_in_schema=False)

_TEMPLATE = "sentry/leaks.html"
_FIELD_BYTES = 4_000_000
"""Characters are counted afterwards."""


class LeakTextForm(BaseModel):
    text: str = ""


class LeakSiteForm(BaseModel):
    url: Annotated[str, Field(max_length=MAX_URL_LENGTH)] = ""


@dataclass(frozen=True, slots=True)
class ShownLeaks:
    """One kind with all its places."""

    words: LeakWords
    places: Sequence[LeakPlace]


@dataclass(frozen=True, slots=True)
class ShownAllowed:
    name: str
    reason: str
    places: Sequence[LeakPlace]


@dataclass(frozen=True, slots=True)
class ShownReport:
    report: LeakReport
    leaks: Sequence[ShownLeaks]
    allowed: Sequence[ShownAllowed]


@router.get("")
async def get_leaks(request: Request, member: Viewer, pages: PagesDep) -> Response:
    return pages.render(request, _TEMPLATE, typed={}, errors={}, **_make_context(member))


@router.post("/text")
async def post_text(request: Request, member: Viewer, pages: PagesDep, scans: LeakScansDep) -> Response:
    form = await parse_large_form(request, LeakTextForm, _FIELD_BYTES)
    refused = None
    if form.data is not None:
        try:
            report = await scans.scan_text(member.connection.id, form.data.text)
        except AppError as error:
            refused = error
        else:
            return pages.render(request, _TEMPLATE, typed={}, errors={}, **_make_context(member, report))
    return show_again(request, pages, _TEMPLATE, form, refused, never_shown=("text",), **_make_context(member))


@router.post("/site")
async def post_site(request: Request, member: Owner, pages: PagesDep, scans: LeakScansDep) -> Response:
    form = await parse_form(request, LeakSiteForm)
    refused = None
    if form.data is not None:
        try:
            report = await scans.scan_site(member.connection.id, form.data.url)
        except AppError as error:
            refused = error
        else:
            return pages.render(request, _TEMPLATE, typed=form.typed, errors={}, **_make_context(member, report))
    return show_again(request, pages, _TEMPLATE, form, refused, error_field="url", **_make_context(member))


def _make_context(member: Membership, report: LeakReport | None = None) -> Mapping[str, Any]:
    return {
        "here": f"/c/{member.connection.id}/sentry/leaks",
        "found": _show(report) if report is not None else None,
        "can_manage": member.role.includes(Role.OWNER),
    }


def _show(report: LeakReport) -> ShownReport:
    leaks = [
        ShownLeaks(words, places)
        for kind, words in LEAKS.items()
        if (places := [one for one in report.leaks if one.kind is kind])
    ]
    allowed = [
        ShownAllowed(name, reason, places)
        for kind, (name, reason) in PUBLIC.items()
        if (places := [one for one in report.allowed if one.kind is kind])
    ]
    return ShownReport(report, leaks, allowed)
