"""A process of its own that takes one job and then hangs in it, to be killed."""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.jobs import Jobs, JobTiming, RetryPolicy


async def hang(_: Mapping[str, Any]) -> None:
    sys.stdout.write("taken\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def main() -> None:
    jobs = Jobs(Database(Secret(os.environ["DATABASE_URL"])), JobTiming(heartbeat_seconds=0.1, silent_seconds=1))
    jobs.register("test.work", hang, retry=RetryPolicy(first=timedelta(seconds=0.05)))
    await jobs.start()
    await asyncio.Event().wait()


asyncio.run(main())
