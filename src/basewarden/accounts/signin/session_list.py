"""Lists and ends a person's own sign-in sessions. Ending one needs no fresh sign-in, because it only removes access."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.models import SignInSession
from basewarden.accounts.signin.sessions import Person, SignInSessions
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind, describe_client
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import NotFound


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """One signed-in browser. `client` is its User-Agent header, `device` a readable name for that."""

    id: UUID
    device: str
    client: str | None
    address: str | None
    method: str
    created_at: datetime
    last_seen_at: datetime
    current: bool


class SessionList:
    def __init__(self, *, signins: SignInSessions, audit: Audit) -> None:
        self._signins = signins
        self._audit = audit

    async def list_alive(self, session: ReadSession, person: Person) -> list[ActiveSession]:
        """The current one comes first, then the others, the last used first."""
        alive = await self._signins.list_alive(session, person.id)
        return sorted((_describe(signin, person) for signin in alive), key=lambda own: not own.current)

    async def end(self, session: WriteSession, person: Person, signin_id: UUID, client_info: ClientInfo) -> None:
        """NotFound for another person's session and for one that has ended."""
        await account_queries.lock_user(session, person.id)
        if not await self._signins.end_one(session, person.id, signin_id):
            raise NotFound
        details = {"session": signin_id}
        await self._audit.record(session, AccountEvent(person.audit_id, EventKind.SESSION_ENDED, client_info, details))

    async def end_others(self, session: WriteSession, person: Person, client_info: ClientInfo) -> int:
        """Returns how many were ended."""
        await account_queries.lock_user(session, person.id)
        ended = await self._signins.end_all(session, person.id, but=person.signin_id)
        if ended:
            details = {"count": ended}
            await self._audit.record(
                session, AccountEvent(person.audit_id, EventKind.SESSIONS_ENDED, client_info, details)
            )
        return ended


def _describe(signin: SignInSession, person: Person) -> ActiveSession:
    return ActiveSession(
        id=signin.id,
        device=describe_client(signin.client or ""),
        client=signin.client,
        address=signin.address,
        method=signin.method,
        created_at=signin.created_at,
        last_seen_at=signin.last_seen_at,
        current=signin.id == person.signin_id,
    )
