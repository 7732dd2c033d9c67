"""Approves proposals: each is claimed, run as its agent on exactly the rows that were shown, and settled."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.approvals.review import ApprovedWrite
from basewarden.core.tasks import end_task
from basewarden.db import note_waiting
from basewarden.errors import AppError, TooMany, Unavailable
from basewarden.gateway import (
    Backends,
    Callers,
    PartlyWritten,
    Projects,
    RestResult,
    WriteConflict,
    read_stored_request,
)
from basewarden.proposals import (
    Claim,
    Claims,
    Decider,
    ProposalFailed,
    ProposalResult,
    ProposalStale,
    ProposalUnsettled,
)
from pgrest import DatabaseError, PgrestError, from_database

SETTLE_SECONDS = 10.0
_REFUSED, _FROZEN, _SERVER_ERROR = 400, 423, 500
_GONE = "The agent's token was revoked or has expired. Nothing was changed."
_REFUSED_ANSWER = "The project refused the write. Nothing was changed."
_NOT_RUN = "The project did not run the write. Nothing was changed; try again."
_log = structlog.get_logger()
RunError = AppError | PgrestError | DatabaseError


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one of several proposals: its status, or the error of deciding it."""

    proposal_id: UUID
    status: str | None
    session_id: UUID | None = None
    error: AppError | None = None


class Approvals:
    def __init__(self, claims: Claims, callers: Callers, projects: Projects, backends: Backends) -> None:
        self._claims = claims
        self._callers = callers
        self._projects = projects
        self._backends = backends
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._settle_overdue(), name="proposal-settling")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def approve(self, connection_id: UUID, proposal_id: str, by: Decider) -> UUID | None:
        """Runs a proposal once; returns the session that its write belongs to.

        Raises ProposalStale, ProposalFailed with the refusal, or ProposalUnsettled. What was refused for the moment is
        pending again, and raises why.
        """
        claim = await self._claims.claim(connection_id, proposal_id, by)
        run = ApprovedWrite(self._claims, claim)
        try:
            result = await self._run(connection_id, claim, run)
        except (AppError, PgrestError, DatabaseError) as error:
            raise await self._settle_error(claim, run, error) from error
        if result.response.status >= _REFUSED:
            raise await self._fail(claim, run, "refused", _REFUSED_ANSWER)
        await self._claims.execute(claim, run.write_id, result.session_id, _keep_result(result))
        return result.session_id

    async def approve_each(self, connection_id: UUID, ids: Sequence[UUID], by: Decider) -> list[Decision]:
        """Each alone, in the order of `ids`: what becomes of one does not bear on another."""
        decisions = []
        for one in ids:
            try:
                session_id = await self.approve(connection_id, str(one), by)
                decisions.append(Decision(one, "executed", session_id))
            except AppError as error:
                decisions.append(Decision(one, None, error=error))
        return decisions

    async def decline_each(self, connection_id: UUID, ids: Sequence[UUID], by: Decider) -> list[Decision]:
        decisions = []
        for one in ids:
            try:
                await self._claims.decline(connection_id, str(one), by)
                decisions.append(Decision(one, "declined"))
            except AppError as error:
                decisions.append(Decision(one, None, error=error))
        return decisions

    async def _run(self, connection_id: UUID, claim: Claim, run: ApprovedWrite) -> RestResult:
        caller = await self._callers.find_agent(connection_id, claim.proposal.agent_id)
        if caller is None:
            raise ProposalFailed(_GONE)
        caller.check_stop()
        note_waiting("a project to run a proposal")
        project = self._projects.find(caller.connection)
        return await self._backends.handle(project, replace(caller, review=run), read_stored_request(claim.request))

    async def _settle_error(self, claim: Claim, run: ApprovedWrite, error: RunError) -> AppError:
        """The error for the person who approved."""
        if isinstance(error, ProposalStale | WriteConflict):
            await self._claims.fail(claim, run.write_id, ProposalStale.code, error.text)
            return ProposalStale(error.text, details=_name(claim, "stale"))
        if isinstance(error, PartlyWritten):
            return await self._fail(claim, run, error.code, error.text)
        if run.is_open:
            return ProposalUnsettled(details=_name(claim, "pending"))
        code, words = _describe(error)
        if _is_of_the_moment(error):
            await self._claims.release(claim, run.write_id)
            return error if isinstance(error, AppError) else Unavailable(_NOT_RUN, details=_refusal(code, words))
        return await self._fail(claim, run, code, words)

    async def _fail(self, claim: Claim, run: ApprovedWrite, code: str, words: str) -> AppError:
        session_id = run.session_id if run.is_open else None
        await self._claims.fail(claim, run.write_id, code, words, session_id=session_id)
        return ProposalFailed(words if code == ProposalFailed.code else None, details=_refusal(code, words))

    async def _settle_overdue(self) -> None:
        while True:
            try:
                await self._claims.settle_overdue()
            except (SQLAlchemyError, OSError, AppError) as error:
                _log.warning("proposals.not_settled", reason=type(error).__name__)
            await asyncio.sleep(SETTLE_SECONDS)


def _keep_result(result: RestResult) -> ProposalResult:
    headers = {name.lower(): value for name, value in result.response.headers}
    return ProposalResult(result.response.status, headers.get("content-type"), bytes(result.response.body))


def _describe(error: RunError) -> tuple[str, str]:
    if isinstance(error, AppError):
        return error.code, error.text
    shown = from_database(error) if isinstance(error, DatabaseError) else error
    return shown.code, shown.message


def _is_of_the_moment(error: RunError) -> bool:
    """Whether the same write may well be run later: the agent is stopped or over a limit, or the project is away."""
    if isinstance(error, AppError):
        return isinstance(error, TooMany | Unavailable) or error.status == _FROZEN or error.code == "agent_paused"
    shown = from_database(error) if isinstance(error, DatabaseError) else error
    return shown.status >= _SERVER_ERROR


def _refusal(code: str, words: str) -> dict[str, str]:
    return {"code": code, "message": words}


def _name(claim: Claim, status: str) -> dict[str, str]:
    return {"proposalId": str(claim.proposal.id), "status": status}
