"""Selects the backend of a project."""

from collections.abc import Awaitable

from basewarden.gateway.api.backend import ApiBackend
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.api.streaming import UpstreamStream
from basewarden.gateway.caller import Caller
from basewarden.gateway.direct.backend import DirectBackend
from basewarden.gateway.projects import AnyProject
from basewarden.gateway.proposing import Proposer
from basewarden.gateway.recording.reviewing import WriteHeld
from basewarden.gateway.rest import RestCall, RestResult


class Backends:
    def __init__(self, direct: DirectBackend, api: ApiBackend, proposer: Proposer) -> None:
        self._direct = direct
        self._api = api
        self._proposer = proposer

    async def check(self, project: AnyProject, caller: Caller, call: RestCall) -> None:
        """Raises what `handle` would refuse whatever the body is."""
        if isinstance(project, ApiProject):
            await self._api.check(project, caller, call)
        else:
            await self._direct.check(project, caller, call)

    def handle(self, project: AnyProject, caller: Caller, call: RestCall) -> Awaitable[RestResult]:
        """Raises PgrestError, DatabaseError or AppError; then nothing was changed.

        A write that must be approved raises ApprovalRequired, and is stored as a proposal.
        """
        if caller.may_be_held:
            return self._propose(project, caller, call)
        return self._run(project, caller, call)

    def _run(self, project: AnyProject, caller: Caller, call: RestCall) -> Awaitable[RestResult]:
        if isinstance(project, ApiProject):
            return self._api.handle(project, caller, call)
        return self._direct.handle(project, caller, call)

    async def _propose(self, project: AnyProject, caller: Caller, call: RestCall) -> RestResult:
        """The project's transaction is over when the proposal is stored."""
        try:
            return await self._run(project, caller, call)
        except WriteHeld as held:
            schema = await (project.find_schema() if isinstance(project, ApiProject) else project.schema())
            raise await self._proposer.propose(caller, call, held, schema) from None

    async def apply_column_rules(self, project: AnyProject, caller: Caller) -> Caller:
        """The caller with its policy as it is on the project's snapshot. Raises PgrestError or DatabaseError."""
        if isinstance(project, ApiProject):
            return caller
        return await project.apply_column_rules(caller, await project.schema())

    async def add_reads(self, project: AnyProject, caller: Caller, call: RestCall) -> None:
        """Stores what the answer to a request shows, before an answer that is there already is shown.

        Raises PgrestError or DatabaseError where the request is none any more.
        """
        if isinstance(project, ApiProject):
            await self._api.add_reads(project, caller, call)
        else:
            await self._direct.add_reads(project, caller, call)

    def open(self, project: AnyProject, caller: Caller, call: RestCall) -> Awaitable[RestResult | UpstreamStream]:
        """As `handle`, but what another server sends comes as it arrives."""
        if isinstance(project, ApiProject):
            return self._api.open(project, caller, call)
        return self._direct.handle(project, caller, call)
