"""Leaving for good: thirty days to think again, then the account and every trace of who it was.

What a person changed in a project is the project's and stays in its journal, without their name. The audit goes on
under a pseudonym that leads nowhere once the account is gone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from basewarden.accounts import queries as account_queries
from basewarden.accounts.data import queries
from basewarden.accounts.emails import Emails
from basewarden.accounts.errors import SoleOwner
from basewarden.accounts.models import User
from basewarden.accounts.signin.sessions import Person, SignInSessions
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Unauthenticated
from basewarden.jobs import Jobs
from basewarden.mail import delete_person_emails

DELETE_DUE = "accounts.delete_due"
HOURLY = "23 * * * *"
WAIT = timedelta(days=30)
POSTPONE = timedelta(days=7)
BATCH = 100
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that would be left without an owner, and the page where that can be changed."""

    id: UUID
    name: str
    href: str


class ErasureHandler(Protocol):
    """What a feature above has to do with a person who leaves."""

    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:
        """What stands in the way."""

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Until the unit ends nobody else's leaving changes what stands in the way."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        """Takes their name off what stays; rows touched, by table."""


class Deletions:
    def __init__(
        self,
        *,
        database: Database,
        signins: SignInSessions,
        emails: Emails,
        audit: Audit,
        jobs: Jobs,
        erasure_handlers: Sequence[ErasureHandler],
    ) -> None:
        self._database = database
        self._signins = signins
        self._emails = emails
        self._audit = audit
        self._erasure_handlers = tuple(erasure_handlers)
        jobs.register_periodic(DELETE_DUE, HOURLY, self._run_job)

    async def list_blockers(self, session: ReadSession, person_id: UUID) -> list[Blocker]:
        return [
            blocker for feature in self._erasure_handlers for blocker in await feature.list_blockers(session, person_id)
        ]

    async def schedule(self, session: WriteSession, person: Person, client_info: ClientInfo) -> datetime:
        """The day it will happen; asked for again, the day stays. SoleOwner where something would be left alone."""
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        if user.deletion_due_at is not None:
            return user.deletion_due_at
        blockers = await self.list_blockers(ReadSession(session), person.id)
        if blockers:
            raise SoleOwner(details=[{"id": str(blocker.id), "name": blocker.name} for blocker in blockers])
        due = await queries.set_deletion_due(session, person.id, WAIT)
        assert due is not None  # the row is locked
        await self._signins.end_all(session, person.id, but=person.signin_id)
        await self._tell(session, person, EventKind.DELETION_SCHEDULED, client_info, due)
        return due

    async def cancel(self, session: WriteSession, person: Person, client_info: ClientInfo) -> None:
        """Also right where nothing was to be deleted."""
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        due = user.deletion_due_at
        if due is not None:
            await queries.set_deletion_due(session, person.id, None)
            await self._tell(session, person, EventKind.DELETION_CANCELLED, client_info, due)

    async def delete_due(self, batch: int = BATCH) -> dict[str, int]:
        """Deletes whose day has come, one unit of work each, at most `batch`; rows by table.

        Safe to cut off, to repeat and to run twice at once.
        """
        counts: Counter[str] = Counter()
        for _ in range(batch):
            async with self._database.unit_of_work() as session:
                user = await queries.lock_user_due(session)
                if user is None:
                    break
                counts.update(await self._delete_or_postpone(session, user))
        return dict(counts)

    async def delete_now(self, session: WriteSession, user: User) -> Mapping[str, int]:
        """Somebody who is nobody's owner, and who is locked; rows by table."""
        return await self._delete(session, user)

    async def _run_job(self) -> None:
        await self.delete_due()

    async def _delete_or_postpone(self, session: WriteSession, user: User) -> Mapping[str, int]:
        """Things may have become theirs alone since they asked: nothing is left without an owner."""
        for feature in self._erasure_handlers:
            await feature.lock(session, user.id)
        blockers = await self.list_blockers(ReadSession(session), user.id)
        if blockers:
            await self._postpone(session, user, blockers)
            return {}
        return await self._delete(session, user)

    async def _postpone(self, session: WriteSession, user: User, blockers: Sequence[Blocker]) -> None:
        due = await queries.set_deletion_due(session, user.id, POSTPONE)
        assert due is not None  # the row is locked
        await self._signins.announce_change(session, user.id)
        names = ", ".join(blocker.name for blocker in blockers)
        await self._emails.enqueue(session, "deletion_postponed", user, ClientInfo(), names=names, due=_say_day(due))
        _log.warning("account.deletion_postponed", user=str(user.id), solely_owned=len(blockers))

    async def _delete(self, session: WriteSession, user: User) -> Mapping[str, int]:
        counts: Counter[str] = Counter(users=1)
        await self._signins.end_all(session, user.id)
        await self._audit.erase_person(session, user.audit_id)
        counts["letters"] = await delete_person_emails(session, user.id, user.email)
        for feature in self._erasure_handlers:
            counts.update(await feature.forget(session, user.id))
        await queries.delete_user(session, user.id)
        await self._audit.record(session, AccountEvent(subject=user.audit_id, kind=EventKind.ACCOUNT_DELETED))
        _log.info("account.deleted", user=str(user.id))
        return counts

    async def _tell(
        self, session: WriteSession, person: Person, kind: EventKind, client_info: ClientInfo, due: datetime
    ) -> None:
        await self._signins.announce_change(session, person.id)
        await self._emails.enqueue(session, kind, person, client_info, due=_say_day(due))
        await self._audit.record(session, AccountEvent(subject=person.audit_id, kind=kind, client_info=client_info))


def _say_day(day: datetime) -> str:
    return f"{day:%d %B %Y}".lstrip("0")
