"""What the pages of fixes and quarantines have in common: the finding, and what a refusal adds to its sentence."""

from typing import Any

from basewarden.connections import Membership
from basewarden.db import Database
from basewarden.errors import AppError
from basewarden.sentry.finding_view import show_line
from basewarden.sentry.service import FindingDetail, get_finding


async def get_detail(database: Database, member: Membership, finding_id: str) -> FindingDetail:
    async with database.read_only() as session:
        return await get_finding(session, member.connection.id, finding_id)


def describe_finding(member: Membership, found: FindingDetail) -> dict[str, Any]:
    return {
        "here": f"{sentry_path(member)}/{found.finding.id}",
        "list": sentry_path(member),
        "line": show_line(found.finding),
        "fix": found.finding.fix,
        "fix_change": found.fix,
        "quarantine": found.quarantine,
    }


def read_details(error: AppError | None) -> dict[str, Any] | None:
    """What a refusal adds to its sentence: SQL for another role, or what is different."""
    if error is None or not error.details:
        return None
    if isinstance(error.details, dict) and "sql" in error.details:
        return {"sql": error.details["sql"], "reasons": error.details["reasons"], "differences": []}
    if isinstance(error.details, list) and all("difference" in one for one in error.details):
        return {"sql": "", "reasons": [], "differences": error.details}
    return None


def sentry_path(member: Membership) -> str:
    return f"/c/{member.connection.id}/sentry"
