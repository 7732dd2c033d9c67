"""POST /rpc of a function that may write: recorded before and after the call, without the rows that it changes."""

from basewarden.gateway.api.journaled_request import JournaledRequest
from basewarden.gateway.api.upstream import Upstream, UpstreamRequest, UpstreamResponse
from basewarden.gateway.recording.reviewing import WriteRecorder
from basewarden.journal import Recorded, WriteEntry


async def write_call(
    upstream: Upstream, request: UpstreamRequest, entry: WriteEntry, recorder: WriteRecorder
) -> tuple[UpstreamResponse, Recorded]:
    journaled = await JournaledRequest.record_intent(recorder, entry)
    answer = await journaled.send(upstream, request)
    await journaled.store_outcome(())
    return answer, journaled.recorded
