"""POST /rpc of a function that may write: told to the journal before and after; what it changes nobody can see."""

from basewarden.gateway.forward.deeds import Deed
from basewarden.gateway.forward.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from basewarden.journal import Recorded, Recorder, WriteEntry


async def write_call(
    upstream: Upstream, request: UpstreamRequest, entry: WriteEntry, recorder: Recorder
) -> tuple[UpstreamAnswer, Recorded]:
    deed = await Deed.announce(recorder, entry)
    answer = await deed.carry_out(upstream, request)
    await deed.finish(())
    return answer, deed.recorded
