"""Deletes expired rows of accounts, due accounts, and abandoned sign-ups."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from basewarden.accounts import queries
from basewarden.accounts.data import queries as data_queries
from basewarden.accounts.data.deletion import Deletions
from basewarden.accounts.emails import Emails
from basewarden.accounts.signin import queries as signin_queries
from basewarden.accounts.signin.sessions import ABSOLUTE_LIFETIME, IDLE_TIMEOUT
from basewarden.db import Database, Pruner, ReadSession, WriteSession, in_batches

KEEP_TOKENS = timedelta(days=30)
"""After they expired, so that an old link is reported as expired and not as unknown."""
AT_ONCE = timedelta(0)
_FIRST = UUID(int=0)

HasTies = Callable[[ReadSession, UUID], Awaitable[bool]]
"""Whether a feature above refers to a person, such as a membership does."""


def list_account_pruners(*, keep_signins: timedelta) -> tuple[Pruner, ...]:
    return (
        Pruner("signin_sessions", keep_signins, in_batches(_delete_old_signins)),
        Pruner("account_tokens", KEEP_TOKENS, in_batches(queries.delete_old_tokens)),
        Pruner("passkey_challenges", AT_ONCE, in_batches(queries.delete_old_challenges)),
        Pruner("oauth_states", AT_ONCE, in_batches(queries.delete_old_states)),
        Pruner("attempt_counters", queries.KEEP_ATTEMPTS, in_batches(queries.delete_old_attempts)),
    )


async def _delete_old_signins(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await signin_queries.delete_old_signins(session, keep, limit, idle=IDLE_TIMEOUT, absolute=ABSOLUTE_LIFETIME)


def list_people_pruners(
    deletions: Deletions, emails: Emails, *, keep_signups: timedelta, ties: Sequence[HasTies]
) -> tuple[Pruner, ...]:
    """Pruners of due accounts and of abandoned sign-ups."""
    return (
        Pruner("users", AT_ONCE, partial(_delete_due, deletions)),
        Pruner("users", keep_signups, partial(_delete_abandoned, deletions, emails, ties)),
    )


async def _delete_due(deletions: Deletions, _database: Database, _keep: timedelta, batch: int) -> int:
    """The hourly job has deleted most of them before."""
    return (await deletions.delete_due(batch)).get("users", 0)


async def _delete_abandoned(
    deletions: Deletions, emails: Emails, ties: Sequence[HasTies], database: Database, keep: timedelta, _batch: int
) -> int:
    """Uses one unit of work each. Deletes none where no emails are sent, because no address could be verified."""
    if not emails.is_configured:
        return 0
    deleted, after = 0, _FIRST
    while True:
        async with database.unit_of_work() as session:
            user = await data_queries.lock_abandoned_user(session, keep, after=after)
            if user is None:
                return deleted
            after = user.id
            if await _may_go(session, user.id, keep, ties):
                await deletions.delete_now(session, user)
                deleted += 1


async def _may_go(session: WriteSession, user_id: UUID, keep: timedelta, ties: Sequence[HasTies]) -> bool:
    for has_ties in ties:
        if await has_ties(ReadSession(session), user_id):
            return False
    return await data_queries.is_still_abandoned(session, user_id, keep)
