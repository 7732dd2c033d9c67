"""`/api/connections/<id>/sentry/leaks`: looks for leaked secrets in a text or a site."""

from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.connections import Owner, Viewer
from basewarden.errors import TooMany
from basewarden.sentry.leaks.schemas import LeakReportOut, LeakSiteBody, LeakTextBody, report_body
from basewarden.sentry.leaks.service import LeakScans
from basewarden.web import declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sentry/leaks", tags=["leaks"])

LeakScansDep = Annotated[LeakScans, Depends(inject(LeakScans))]


@router.post("/text", summary="Looks for leaked secrets in a text.", responses=declare(TooMany))
async def post_leaks_of_text(body: LeakTextBody, member: Viewer, scans: LeakScansDep) -> LeakReportOut:
    """The text is not kept. Of what is found, the answer has 6 characters and the length."""
    return report_body(await scans.scan_text(member.connection.id, body.text))


@router.post("/site", summary="Looks for leaked secrets in a site.", responses=declare(TooMany))
async def post_leaks_of_site(body: LeakSiteBody, member: Owner, scans: LeakScansDep) -> LeakReportOut:
    """Fetches the page, its scripts on the same site and their source maps, as any visitor could, in 25 seconds."""
    return report_body(await scans.scan_site(member.connection.id, body.url))
