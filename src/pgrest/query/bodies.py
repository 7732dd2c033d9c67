"""Reading a request's body where it does not keep others waiting."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pgrest.query.payload import LARGE_BODY_BYTES
from pgrest.query.request import Request, attach_body

MOST_AT_ONCE = 2
"""Large bodies that one process reads at the same time; the others wait."""
_readers = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="body")


async def read_body(head: Request, body: bytes) -> Request:
    """As `attach_body`; a large body is read in a thread. Raises PgrestError."""
    if len(body) <= LARGE_BODY_BYTES:
        return attach_body(head, body)
    return await asyncio.get_running_loop().run_in_executor(_readers, attach_body, head, body)
