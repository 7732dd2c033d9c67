"""`/api/connections/<id>/sentry`: fixes and quarantines of findings."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from basewarden.accounts import ReauthRequired
from basewarden.connections import Editor, Membership, Owner, Viewer
from basewarden.errors import TooMany
from basewarden.gateway import NeedsPostgres
from basewarden.sentry.bodies import detail_body
from basewarden.sentry.changes.bodies import change_body, fix_body, quarantine_body
from basewarden.sentry.changes.queries import list_quarantines
from basewarden.sentry.changes.schemas import (
    FixBody,
    FixTrialOut,
    QuarantineBody,
    QuarantinesOut,
    QuarantineTrialOut,
    SentryChangeOut,
)
from basewarden.sentry.changes.service import Actor, Changes
from basewarden.sentry.errors import (
    AlreadyQuarantined,
    ChangeFailed,
    ChangeRunning,
    FindingChanged,
    FindingClosed,
    FixDrift,
    FixNotReversible,
    FixRefused,
    LoginMayNot,
    NotClosable,
    NothingToUndo,
    NotReachable,
    ObjectLocked,
    QuarantineDrift,
)
from basewarden.sentry.schemas import FindingDetailOut
from basewarden.sentry.service import get_finding
from basewarden.web import DatabaseDep, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sentry", tags=["sentry-fixes"])

ChangesDep = Annotated[Changes, Depends(inject(Changes))]
_ALWAYS = (NeedsPostgres, ChangeRunning, ChangeFailed, ObjectLocked, LoginMayNot)


@router.post(
    "/findings/{finding_id}/fix",
    response_model=None,
    summary="Tries the fix of a finding, or applies it.",
    responses={
        200: {"model": FixTrialOut | SentryChangeOut},
        **declare(*_ALWAYS, ReauthRequired, FindingClosed, FindingChanged, FixRefused, FixNotReversible, TooMany),
    },
)
async def post_fix(finding_id: str, body: FixBody, member: Owner, changes: ChangesDep) -> dict[str, Any]:
    """Both run in one transaction: the rule and the probes, the fix, the rule and the probes again.

    With `apply` it is committed only where the rule no longer finds it and what takes it back exactly is known. That
    needs a recent sign-in.
    """
    if body.mode == "preview":
        return fix_body(await changes.preview_fix(member.connection.id, finding_id))
    _require_fresh(member)
    return change_body(await changes.apply_fix(member.connection.id, finding_id, make_actor(member)))


@router.delete(
    "/findings/{finding_id}/fix",
    response_model=None,
    summary="Undoes the fix of a finding.",
    responses={**answer_with(FindingDetailOut), **declare(*_ALWAYS, ReauthRequired, NothingToUndo, FixDrift)},
)
async def delete_fix(finding_id: str, member: Owner, changes: ChangesDep, database: DatabaseDep) -> dict[str, Any]:
    """Puts back what was there, unless the object was changed after the fix. Needs a recent sign-in."""
    _require_fresh(member)
    await changes.undo_fix(member.connection.id, finding_id, make_actor(member))
    async with database.read_only() as session:
        return detail_body(await get_finding(session, member.connection.id, finding_id))


@router.post(
    "/findings/{finding_id}/quarantine",
    response_model=None,
    summary="Closes the object of a finding to the API's roles.",
    responses={
        200: {"model": QuarantineTrialOut | SentryChangeOut},
        **declare(*_ALWAYS, FindingClosed, FindingChanged, AlreadyQuarantined, NotReachable, NotClosable, TooMany),
    },
)
async def post_quarantine(
    finding_id: str, member: Editor, changes: ChangesDep, body: QuarantineBody | None = None
) -> dict[str, Any]:
    """PUBLIC, `anon` and `authenticated` lose their rights; a bucket becomes private and a policy closes its objects.

    What was there is kept and given back exactly.
    """
    if body is not None and body.mode == "preview":
        return quarantine_body(await changes.preview_quarantine(member.connection.id, finding_id))
    reason = body.reason if body is not None else None
    return change_body(await changes.quarantine(member.connection.id, finding_id, make_actor(member), reason))


@router.delete(
    "/findings/{finding_id}/quarantine",
    response_model=None,
    summary="Releases the object of a finding from quarantine.",
    responses={**answer_with(FindingDetailOut), **declare(*_ALWAYS, NothingToUndo, QuarantineDrift)},
)
async def delete_quarantine(
    finding_id: str,
    member: Editor,
    changes: ChangesDep,
    database: DatabaseDep,
    give_back: Annotated[bool, Query(alias="giveBack")] = True,  # noqa: FBT002 - a parameter of the address
) -> dict[str, Any]:
    """Gives back exactly what was there, unless others have changed the object meanwhile.

    With `giveBack=false` the quarantine ends and nothing is changed: for an object that others have changed.
    """
    act = changes.release if give_back else changes.end_quarantine
    await act(member.connection.id, finding_id, make_actor(member))
    async with database.read_only() as session:
        return detail_body(await get_finding(session, member.connection.id, finding_id))


@router.get(
    "/quarantines",
    response_model=None,
    responses=answer_with(QuarantinesOut),
    summary="Lists what is in quarantine, the newest first.",
)
async def get_quarantines(member: Viewer, changes: ChangesDep, database: DatabaseDep) -> dict[str, Any]:
    """At most 500."""
    await changes.reconciler.try_reconcile(member.connection.id)
    async with database.read_only() as session:
        found = await list_quarantines(session, member.connection.id)
    return {"quarantines": [change_body(one) for one in found]}


def make_actor(member: Membership) -> Actor:
    return member.person.id, member.person.name or member.person.email


def _require_fresh(member: Membership) -> None:
    if not member.person.is_fresh:
        raise ReauthRequired
