"""`/api/connections/<id>/guard`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep, ReauthRequired
from basewarden.connections.callers import Owner
from basewarden.connections.errors import TablesUnchecked
from basewarden.connections.guard.findings import GuardFindings
from basewarden.connections.guard.schemas import (
    GuardChange,
    GuardOut,
    GuardSampleOut,
    SensitiveValuesOut,
    show_guard,
)
from basewarden.connections.guard.service import GuardSettings
from basewarden.connections.guard.values import read_guard
from basewarden.web import Writing, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["connections"])

GuardSettingsDep = Annotated[GuardSettings, Depends(inject(GuardSettings))]
GuardFindingsDep = Annotated[GuardFindings, Depends(inject(GuardFindings))]


@router.get("/guard", summary="Returns the settings of the guard against exfiltration.")
async def get_guard(member: Owner) -> GuardOut:
    """While `mode` is `block`, an agent that has read sensitive columns may not write where more people can read.

    While `strangers` is `hold`, what an agent writes after reading rows that strangers may have written is a proposal.
    """
    return show_guard(read_guard(member.connection))


@router.put(
    "/guard",
    responses=declare(ReauthRequired, TablesUnchecked),
    summary="Replaces the settings of the guard against exfiltration.",
)
async def put_guard(
    *,
    body: GuardChange,
    member: Owner,
    session: Writing,
    settings: GuardSettingsDep,
    client_info: ClientInfoDep,
) -> GuardOut:
    """Needs a recent sign-in where agents may write more afterwards.

    Marks count for more than what the guard finds itself. Columns are `sensitive` or `not_sensitive`, tables are
    `public` (strangers can read their rows) or `not_public`. `writers` of a table are `strangers` or `trusted`. Only
    new names are looked up in the project.
    """
    is_confirmed = member.person.is_fresh
    wanted = body.as_guard()
    changed = await settings.change(session, member, lambda _: wanted, client_info, is_confirmed=is_confirmed)
    return show_guard(changed)


@router.post(
    "/guard/sample",
    responses=declare(TablesUnchecked),
    summary="Looks at some values for columns that may be sensitive.",
)
async def post_sample(member: Owner, findings: GuardFindingsDep) -> GuardSampleOut:
    """Up to 200 rows of each table are read, which needs a Postgres connection string. No value is stored or returned.

    Columns that are sensitive or marked already are left out. Nothing is marked by it.
    """
    found = await findings.sample_values(member.connection.id)
    return GuardSampleOut(columns=[SensitiveValuesOut.model_validate(one, from_attributes=True) for one in found])
