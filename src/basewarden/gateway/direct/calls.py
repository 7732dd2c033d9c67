"""POST /rpc of a function that may write: it runs as it is, and the traces it leaves are counted."""

from basewarden.gateway.direct.context import (
    READ_XID,
    WriteContext,
    WriteOutcome,
    open_transaction,
    read_xid,
    write_and_read,
)
from pgrest import CallPlan, build_statement


async def capture_call(context: WriteContext, plan: CallPlan) -> WriteOutcome:
    await context.connection.run(await open_transaction(context))
    result, (xid,) = await write_and_read(context, plan, build_statement(plan), READ_XID)
    return WriteOutcome(result, (), read_xid(xid))
