"""A process of its own that prunes the journal in very small batches, to be killed."""

import asyncio
import os
from datetime import timedelta

from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.jobs import Jobs
from basewarden.journal import list_journal_pruners
from basewarden.operations.retention import Retention


async def main() -> None:
    database = Database(Secret(os.environ["DATABASE_URL"]))
    await Retention(database, Jobs(database), list_journal_pruners(timedelta(days=90)), batch=20).run()


asyncio.run(main())
