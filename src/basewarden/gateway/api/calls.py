"""POST /rpc of a function that may write: told to the journal before and after; what it changes nobody can see."""

from basewarden.gateway.api.journaled_request import JournaledRequest
from basewarden.gateway.api.upstream import Upstream, UpstreamRequest, UpstreamResponse
from basewarden.journal import Recorded, Recorder, WriteEntry


async def write_call(
    upstream: Upstream, request: UpstreamRequest, entry: WriteEntry, recorder: Recorder
) -> tuple[UpstreamResponse, Recorded]:
    journaled = await JournaledRequest.record_intent(recorder, entry)
    answer = await journaled.send(upstream, request)
    await journaled.finish(())
    return answer, journaled.recorded
