"""`/c/<id>/sentry`: what strangers can reach, each finding with its proof, and the scans."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep
from basewarden.connections import Editor, Membership, Owner, Role, Viewer
from basewarden.core.text import check_storable
from basewarden.errors import AppError, Invalid
from basewarden.sentry import queries
from basewarden.sentry.access.state import list_keys
from basewarden.sentry.changes.routes import ChangesDep
from basewarden.sentry.errors import ScanRunning
from basewarden.sentry.finding_view import show_finding, show_line
from basewarden.sentry.models import FindingStatus, ScanSchedule, ScanStatus
from basewarden.sentry.routes import ScansDep, read_choice
from basewarden.sentry.rule import Severity
from basewarden.sentry.rule_pages import list_titles, read_rule_page
from basewarden.sentry.scan_view import show_scan
from basewarden.sentry.scans.storing import read_object
from basewarden.sentry.schemas import FindingReason
from basewarden.sentry.service import FindingChange, change_finding, get_finding, get_scan
from basewarden.sentry.watching.queries import find_watch
from basewarden.sentry.watching.routes import WatchingDep
from basewarden.sentry.watching.view import SCHEDULES, show_watch
from basewarden.web import AddressParameters, DatabaseDep, PagesDep, Reading, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/sentry", include_in_schema=False)

PAGE_ROWS: Final = 50
SCAN_ROWS: Final = 30
_TABS: Final = (
    (FindingStatus.OPEN, "Open"),
    (FindingStatus.QUARANTINED, "Quarantined"),
    (FindingStatus.ACKNOWLEDGED, "Acknowledged"),
    (FindingStatus.RESOLVED, "Resolved"),
)
_DONE: Final = {
    "acknowledged": "Acknowledged.",
    "reopened": "Opened again.",
    "fixed": "The fix was applied.",
    "unfixed": "The fix was undone.",
    "quarantined": "Quarantined: strangers no longer reach it.",
    "released": "Released: it is as it was before.",
    "ended": "The quarantine has ended. Nothing was given back.",
    "scheduled": "Schedule saved.",
}
_Text = Annotated[str, Query(max_length=100), AfterValidator(check_storable)]


class AcknowledgedFor(StrEnum):
    WEEK = "week"
    MONTH = "month"
    EVER = "ever"


_TIMES: Final = {AcknowledgedFor.WEEK: timedelta(days=7), AcknowledgedFor.MONTH: timedelta(days=30)}
_TIME_CHOICES: Final = (
    (AcknowledgedFor.WEEK, "1 week"),
    (AcknowledgedFor.MONTH, "1 month"),
    (AcknowledgedFor.EVER, "For good"),
)


class AcknowledgeForm(BaseModel):
    reason: FindingReason = ""
    time: AcknowledgedFor = AcknowledgedFor.MONTH

    def as_change(self) -> FindingChange:
        time = _TIMES.get(self.time)
        return FindingChange(FindingStatus.ACKNOWLEDGED, self.reason, datetime.now(UTC) + time if time else None)


class ScheduleForm(BaseModel):
    schedule: ScanSchedule


class ListedFindings(AddressParameters):
    """The parameters of the list's address; without a status it lists what is open."""

    status: str = ""
    severity: str = ""
    rule: str = ""
    order: str = ""


@router.get("")
async def get_list(
    *,
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    status: _Text = "",
    severity: _Text = "",
    rule: _Text = "",
    order: Annotated[Literal["", "name"], Query()] = "",
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    here, shown = _path(member), ListedFindings(status=status, severity=severity, rule=rule, order=order)
    current = read_choice("status", status, FindingStatus) or FindingStatus.OPEN
    # before its findings: a scan that ends meanwhile would be shown as done, and without them
    latest = await queries.list_scans(db, member.connection.id, 1)
    last = await queries.find_last_scan(db, member.connection.id)
    found = await queries.list_findings(
        db,
        member.connection.id,
        statuses=[current],
        severity=read_choice("severity", severity, Severity),
        rule=rule or None,
        is_by_name=order == "name",
        offset=offset,
        limit=PAGE_ROWS + 1,
    )
    counts = await queries.count_findings(db, member.connection.id, rule or None)
    rules = await queries.list_found_rules(db, member.connection.id)
    more = here + shown.encode(offset=offset + PAGE_ROWS)
    return pages.render(
        request,
        "sentry/list.html",
        here=here,
        findings=[show_line(one) for one in found[:PAGE_ROWS]],
        tabs=_list_tabs(here, shown, counts),
        totals=[(one, counts.get((current, one), 0), here + shown.encode(severity=one)) for one in Severity],
        rule_title=list_titles().get(rule, rule),
        about=read_rule_page(rule),
        current=current,
        parameters=shown,
        has_any=bool(rules),
        severities=[(one, one.capitalize()) for one in Severity],
        rules=[(one, list_titles().get(one, one)) for one in rules],
        by_severity=here + shown.encode(order=""),
        by_name=here + shown.encode(order="name"),
        without_severity=here + shown.encode(severity=""),
        without_rule=here + shown.encode(rule=""),
        without_filters=here + shown.encode(severity="", rule=""),
        latest=show_scan(latest[0]) if latest else None,
        last=show_scan(last) if last else None,
        watch=show_watch(await find_watch(db, member.connection.id)),
        schedules=SCHEDULES,
        done=_DONE.get(request.query_params.get("done", "")),
        can_decide=member.role.includes(Role.EDITOR),
        can_manage=member.role.includes(Role.OWNER),
        first=offset + 1,
        previous_href=here + shown.encode(offset=max(0, offset - PAGE_ROWS)) if offset else None,
        next_href=more if len(found) > PAGE_ROWS else None,
    )


@router.get("/scans")
async def get_scans(
    request: Request, member: Viewer, db: Reading, pages: PagesDep, cursor: UUID | None = None
) -> Response:
    found = await queries.list_scans(db, member.connection.id, SCAN_ROWS + 1, cursor)
    here = f"{_path(member)}/scans"
    return pages.render(
        request,
        "sentry/scans.html",
        here=here,
        scans=[show_scan(one) for one in found[:SCAN_ROWS]],
        is_first=cursor is None,
        next_href=f"{here}?cursor={found[SCAN_ROWS - 1].id}" if len(found) > SCAN_ROWS else None,
    )


@router.post("/scans")
async def post_scan(member: Editor, session: Writing, scans: ScansDep) -> Response:
    """Leads to the list, which shows the scan that runs, also one that was running already."""
    if member.connection.is_direct:
        with suppress(ScanRunning):
            await scans.start(session, member.connection.id, None)
    return redirect(_path(member))


@router.post("/watch")
async def post_watch(
    request: Request, member: Owner, session: Writing, watching: WatchingDep, client_info: ClientInfoDep
) -> Response:
    form = await parse_form(request, ScheduleForm)
    if form.data is None:
        raise Invalid.field("schedule", "Choose how often.")
    await watching.change(session, member, form.data.schedule, client_info)
    return redirect(f"{_path(member)}?done=scheduled#watching")


@router.get("/scans/{scan_id}")
async def get_scan_page(request: Request, scan_id: str, member: Viewer, db: Reading, pages: PagesDep) -> Response:
    scan = show_scan(await get_scan(db, member.connection.id, scan_id))
    return pages.render(request, "sentry/scan.html", here=f"{_path(member)}/scans/{scan.id}", scan=scan)


@router.get("/scans/{scan_id}/progress")
async def get_progress(request: Request, scan_id: str, member: Viewer, db: Reading, pages: PagesDep) -> Response:
    """The part of a page that follows a running scan; once it has ended, the page is loaded again as a whole."""
    found = await get_scan(db, member.connection.id, scan_id)
    response = pages.render(request, "sentry/progress.html", here=_path(member), scan=show_scan(found))
    if found.status != ScanStatus.RUNNING:
        response.headers["hx-refresh"] = "true"
    return response


@router.get("/{finding_id}")
async def get_page(
    *,
    request: Request,
    finding_id: str,
    member: Viewer,
    database: DatabaseDep,
    pages: PagesDep,
    changes: ChangesDep,
) -> Response:
    await changes.reconciler.try_reconcile(member.connection.id)
    async with database.read_only() as session:
        found = await get_finding(session, member.connection.id, finding_id)
    done = request.query_params.get("done", "")
    return pages.render(
        request,
        "sentry/finding.html",
        here=f"{_path(member)}/{found.finding.id}",
        one=await asyncio.to_thread(show_finding, found, member.person.id),  # a hostile policy takes half a second
        done=_DONE.get(done),
        is_new=done == "acknowledged",
        times=_TIME_CHOICES,
        can_decide=member.role.includes(Role.EDITOR),
        can_fix=member.role.includes(Role.OWNER),
        fix_change=found.fix,
        quarantine=found.quarantine,
        is_closable=bool(list_keys(read_object(found.finding))),
    )


@router.get("/{finding_id}/acknowledge")
async def get_acknowledge(request: Request, finding_id: str, member: Editor, db: Reading, pages: PagesDep) -> Response:
    found = await get_finding(db, member.connection.id, finding_id)
    here = f"{_path(member)}/{found.finding.id}"
    line = show_line(found.finding)
    return pages.render(
        request, "sentry/acknowledge.html", here=here, line=line, times=_TIME_CHOICES, typed={}, errors={}
    )


@router.post("/{finding_id}/acknowledge")
async def post_acknowledge(
    request: Request, finding_id: str, member: Editor, session: Writing, pages: PagesDep
) -> Response:
    form = await parse_form(request, AcknowledgeForm)
    found = await get_finding(session, member.connection.id, finding_id)
    here, refused = f"{_path(member)}/{found.finding.id}", None
    if form.data is not None:
        try:
            await change_finding(session, member.connection.id, finding_id, form.data.as_change(), _actor(member))
        except AppError as error:
            refused = error
        else:
            return redirect(f"{here}?done=acknowledged")
    line = show_line(found.finding)
    return show_again(
        request, pages, "sentry/acknowledge.html", form, refused, here=here, line=line, times=_TIME_CHOICES
    )


@router.post("/{finding_id}/reopen")
async def post_reopen(finding_id: str, member: Editor, session: Writing) -> Response:
    found = await get_finding(session, member.connection.id, finding_id)
    change = FindingChange(FindingStatus.OPEN)
    await change_finding(session, member.connection.id, finding_id, change, _actor(member))
    return redirect(f"{_path(member)}/{found.finding.id}?done=reopened")


def _list_tabs(
    here: str, shown: ListedFindings, counts: Mapping[tuple[str, str], int]
) -> list[tuple[str, str, str, int | None]]:
    """With how many there are under the filter."""
    return [
        (
            status,
            text,
            here + shown.encode(status="" if status is FindingStatus.OPEN else status.value),
            sum(
                number
                for (one, severity), number in counts.items()
                if one == status and shown.severity in ("", severity)
            ),
        )
        for status, text in _TABS
    ]


def _actor(member: Membership) -> tuple[UUID, str]:
    return member.person.id, member.person.name or member.person.email


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/sentry"
