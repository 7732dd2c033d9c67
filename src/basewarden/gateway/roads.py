"""Either road, by what is known of the project."""

from basewarden.gateway.caller import Caller
from basewarden.gateway.forward.incoming import Incoming
from basewarden.gateway.forward.project import ForwardProject
from basewarden.gateway.forward.road import ForwardRoad
from basewarden.gateway.projects import AnyProject
from basewarden.gateway.road import DirectBackend, RestAnswer, RestCall


class Roads:
    def __init__(self, direct: DirectBackend, forward: ForwardRoad) -> None:
        self._direct = direct
        self._forward = forward

    async def check(self, project: AnyProject, caller: Caller, call: RestCall) -> None:
        """Raises what `travel` would refuse whatever the body is."""
        if isinstance(project, ForwardProject):
            await self._forward.check(project, caller, call)
        else:
            await self._direct.check(project, caller, call)

    async def travel(self, project: AnyProject, caller: Caller, call: RestCall) -> RestAnswer:
        """Raises PgrestError, DatabaseError or AppError; then nothing was changed."""
        if isinstance(project, ForwardProject):
            return await self._forward.travel(project, caller, call)
        return await self._direct.travel(project, caller, call)

    async def open(self, project: AnyProject, caller: Caller, call: RestCall) -> RestAnswer | Incoming:
        """As `travel`, but what another server sends comes as it arrives."""
        if isinstance(project, ForwardProject):
            return await self._forward.open(project, caller, call)
        return await self._direct.travel(project, caller, call)
