"""The last steps of a change: nothing came in between, and what became of it is stored."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog

from basewarden.db import Database
from basewarden.errors import Unavailable
from basewarden.sentry.access.reading import READ_SECONDS, decode_stamps, read_stamps
from basewarden.sentry.access.state import AccessKey, AccessKind
from basewarden.sentry.changes import outcomes
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.errors import ObjectLocked
from basewarden.sentry.scans.asking import ask
from pgrest import DatabaseError, DbConnection, PgrestError

_UNKNOWN_OUTCOME: Final = (
    "The connection to the project's database was lost while the change was committed. Look again in a moment: "
    "the finding shows what became of it."
)
_log = structlog.get_logger()


async def check_stamps(other: DbConnection, stamps: Mapping[AccessKey, str]) -> None:
    """`other` sees what is committed. Raises ObjectLocked where that is not what the change began with.

    Once our transaction has written the catalog's rows, others cannot, so that it stays so until the end.
    """
    for is_bucket in (False, True):
        keys = [key for key in stamps if (key.kind is AccessKind.BUCKET) == is_bucket]
        if keys:
            (rows,) = await ask(other, READ_SECONDS, [read_stamps(keys, buckets=is_bucket)])
            found = decode_stamps(rows)
            if any(found.get(key) != stamps[key] for key in keys):
                raise ObjectLocked("Another transaction changed the object at the same time. Try again.")


async def commit_change(database: Database, transaction: ChangeTransaction, change_id: UUID) -> None:
    """A refused COMMIT changed nothing. After a lost connection the outcome is found out later."""
    try:
        await transaction.commit()
    except DatabaseError as error:
        if transaction.is_lost:  # it may have been committed before it was ended
            raise Unavailable(_UNKNOWN_OUTCOME) from error
        await outcomes.abandon_change(database, change_id)
        raise
    except PgrestError as error:
        raise Unavailable(_UNKNOWN_OUTCOME) from error
    await outcomes.finish_change(database, change_id)
    _log.info("sentry.changed", change=str(change_id))
