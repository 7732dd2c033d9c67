"""`/api/connections/<id>/sentry`: scans and findings."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator
from starlette.responses import Response, StreamingResponse

from basewarden.connections import Editor, Viewer
from basewarden.core.text import check_storable
from basewarden.errors import Invalid
from basewarden.sentry import queries
from basewarden.sentry.bodies import detail_body, finding_body, scan_body
from basewarden.sentry.changes.routes import ChangesDep
from basewarden.sentry.errors import ScanRunning
from basewarden.sentry.files import SARIF_VERSION, write_json_file, write_sarif_file
from basewarden.sentry.models import FindingStatus
from basewarden.sentry.rule import Severity
from basewarden.sentry.schemas import (
    FindingChangeBody,
    FindingDetailOut,
    FindingsFileOut,
    FindingsOut,
    SarifLogOut,
    ScanBody,
    ScanOut,
    ScansOut,
)
from basewarden.sentry.service import FindingChange, Scans, change_finding, get_finding, get_scan
from basewarden.web import (
    JSON_TYPE,
    DatabaseDep,
    Reading,
    SettingsDep,
    Writing,
    answer_with,
    declare,
    inject,
)

router = APIRouter(prefix="/api/connections/{connection_id}/sentry", tags=["sentry"])

ScansDep = Annotated[Scans, Depends(inject(Scans))]
MAX_PAGE = 200
C = TypeVar("C", bound=StrEnum)


@router.post(
    "/scans",
    status_code=202,
    response_model=None,
    summary="Starts a scan.",
    responses={202: {"model": ScanOut}, **declare(ScanRunning)},
)
async def post_scan(member: Editor, session: Writing, scans: ScansDep, body: ScanBody | None = None) -> dict[str, Any]:
    """One runs at a time for a connection. Needs a Postgres connection string."""
    scan = await scans.start(session, member.connection.id, body.schemas if body else None)
    return scan_body(scan)


@router.get("/scans", response_model=None, responses=answer_with(ScansOut), summary="Lists scans, the newest first.")
async def get_scans(
    member: Viewer, db: Reading, cursor: UUID | None = None, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> dict[str, Any]:
    found = await queries.list_scans(db, member.connection.id, limit + 1, cursor)
    page = found[:limit]
    return {
        "scans": [scan_body(one) for one in page],
        "nextCursor": str(page[-1].id) if len(found) > limit else None,
    }


@router.get("/scans/{scan_id}", response_model=None, responses=answer_with(ScanOut), summary="Returns a scan.")
async def get_one_scan(scan_id: str, member: Viewer, db: Reading) -> dict[str, Any]:
    return scan_body(await get_scan(db, member.connection.id, scan_id))


@router.get(
    "/findings", response_model=None, responses=answer_with(FindingsOut), summary="Lists findings, the worst first."
)
async def get_findings(
    member: Viewer,
    db: Reading,
    changes: ChangesDep,
    status: Annotated[str | None, Query(max_length=20)] = None,
    severity: Annotated[str | None, Query(max_length=20)] = None,
    rule: Annotated[str, Query(max_length=100), AfterValidator(check_storable)] | None = None,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """Without `status`, those that are open."""
    await changes.reconciler.try_reconcile(member.connection.id)
    found = await queries.list_findings(
        db,
        member.connection.id,
        statuses=[read_choice("status", status, FindingStatus) or FindingStatus.OPEN],
        severity=read_choice("severity", severity, Severity),
        rule=rule,
        offset=offset,
        limit=limit + 1,
    )
    return {
        "findings": [finding_body(one) for one in found[:limit]],
        "nextOffset": offset + limit if len(found) > limit else None,
    }


@router.get(
    "/findings.json",
    response_model=None,
    responses=answer_with(FindingsFileOut),
    summary="Downloads all findings, the resolved ones too.",
)
async def get_json_file(member: Viewer, database: DatabaseDep) -> Response:
    """With evidence, request and fix, in the order in which they were first seen."""
    return _answer_file(write_json_file(database, member.connection), "findings.json")


@router.get(
    "/findings.sarif",
    response_model=None,
    responses=answer_with(SarifLogOut, version=SARIF_VERSION),
    summary="Downloads the findings that are not resolved as SARIF.",
)
async def get_sarif_file(member: Viewer, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Acknowledged and quarantined ones are suppressed. A result's `partialFingerprints` stay the same across scans."""
    return _answer_file(write_sarif_file(database, member.connection, settings.origin), "findings.sarif")


def _answer_file(pieces: AsyncIterator[bytes], name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=JSON_TYPE, headers=headers)


@router.get(
    "/findings/{finding_id}",
    response_model=None,
    responses=answer_with(FindingDetailOut),
    summary="Returns a finding with its evidence and its history.",
)
async def get_one_finding(finding_id: str, member: Viewer, db: Reading, changes: ChangesDep) -> dict[str, Any]:
    await changes.reconciler.try_reconcile(member.connection.id)
    return detail_body(await get_finding(db, member.connection.id, finding_id))


@router.patch(
    "/findings/{finding_id}",
    response_model=None,
    responses=answer_with(FindingDetailOut),
    summary="Acknowledges a finding, or opens it again.",
)
async def patch_finding(finding_id: str, body: FindingChangeBody, member: Editor, session: Writing) -> dict[str, Any]:
    """An acknowledgement needs a reason; with `until` it ends by itself."""
    change = FindingChange(FindingStatus(body.status), body.reason, body.until)
    person = member.person
    await change_finding(session, member.connection.id, finding_id, change, (person.id, person.name or person.email))
    return detail_body(await get_finding(session, member.connection.id, finding_id))


def read_choice(field: str, text: str | None, choices: type[C]) -> C | None:
    """Raises Invalid for another word."""
    if not text:
        return None
    if text not in list(choices):
        raise Invalid.field(field, f"Choose one of {', '.join(choices)}.")
    return choices(text)
