"""Deletes an account thirty days after the request; until then it can be cancelled.

A person's writes belong to the project and stay in its journal, without the person's name. Audit events stay under a
pseudonym, which identifies no one after the account is deleted.
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
    """What a feature above does when an account is deleted."""

    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:
        """What prevents the deletion."""

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks what `list_blockers` reads until the unit of work ends, so that no other deletion changes it."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        """Removes the person's name from what stays; returns the number of rows by table."""


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
        """Returns the day; a second request does not move it. SoleOwner where something would lose its owner."""
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
        await self._announce(session, person, EventKind.DELETION_SCHEDULED, client_info, due)
        return due

    async def cancel(self, session: WriteSession, person: Person, client_info: ClientInfo) -> None:
        """Does nothing where no deletion is scheduled."""
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        due = user.deletion_due_at
        if due is not None:
            await queries.set_deletion_due(session, person.id, None)
            await self._announce(session, person, EventKind.DELETION_CANCELLED, client_info, due)

    async def delete_due(self, batch: int = BATCH) -> dict[str, int]:
        """Deletes up to `batch` due accounts, in one unit of work each; returns the number of rows by table.

        It may be interrupted, repeated, and run twice at the same time.
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
        """Deletes a locked user who owns nothing; returns the number of rows by table."""
        return await self._delete(session, user)

    async def _run_job(self) -> None:
        await self.delete_due()

    async def _delete_or_postpone(self, session: WriteSession, user: User) -> Mapping[str, int]:
        """Postpones the deletion where the person has become the only owner of something since the request."""
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
        await self._emails.enqueue(session, "deletion_postponed", user, ClientInfo(), names=names, due=_format_day(due))
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

    async def _announce(
        self, session: WriteSession, person: Person, kind: EventKind, client_info: ClientInfo, due: datetime
    ) -> None:
        await self._signins.announce_change(session, person.id)
        await self._emails.enqueue(session, kind, person, client_info, due=_format_day(due))
        await self._audit.record(session, AccountEvent(subject=person.audit_id, kind=kind, client_info=client_info))


def _format_day(day: datetime) -> str:
    return f"{day:%d %B %Y}".lstrip("0")
