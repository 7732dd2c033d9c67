"""Who a cookie belongs to: looked up, and remembered for seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.requests import cookie_parser

from basewarden.accounts import queries
from basewarden.core.cache import LoadingCache
from basewarden.core.ids import make_id
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import Unauthenticated
from basewarden.settings import Settings
from basewarden.web import session_cookie_name

IDLE = timedelta(days=30)
LONGEST = timedelta(days=90)
_SEEN_EVERY = timedelta(minutes=5)
_REMEMBER_SECONDS = 5.0
_REMEMBER_AT_MOST = 10_000
_TOPIC = "signin"


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person, and until when this sign-in holds if they do nothing."""

    id: UUID
    email: str
    name: str
    expires_at: datetime


class Signins:
    """Sign-in sessions. One that is ended here is ended in every process, at once."""

    def __init__(self, database: Database, listener: Listener, settings: Settings) -> None:
        self._database = database
        self._listener = listener
        self._cookie_name = session_cookie_name(settings)
        self._people = LoadingCache(self._load_person, size=_REMEMBER_AT_MOST, seconds=_REMEMBER_SECONDS)
        listener.on(_TOPIC, self._forget)

    def read_token(self, scope: Any) -> str | None:
        """What the session cookie of this request holds, even if empty; None where there is none."""
        for name, value in scope["headers"]:
            if name == b"cookie":
                token = cookie_parser(value.decode("latin-1")).get(self._cookie_name)
                if token is not None:
                    return token
        return None

    async def find_person(self, token: str) -> Person | None:
        person = await self._people.get(hash_token(token))
        if person is None or person.expires_at <= datetime.now(UTC):
            return None
        return person

    async def find_signed_in(self, scope: Any) -> Person | None:
        """The person of any ASGI request; None without a cookie, Unauthenticated with a bad one."""
        token = self.read_token(scope)
        if token is None:
            return None
        person = await self.find_person(token)
        if person is None:
            raise Unauthenticated
        return person

    async def start(self, session: WriteSession, user_id: UUID) -> str:
        """A new token, the only time it is seen in clear."""
        token = make_opaque_token()
        await queries.delete_ended_signins(session, user_id, idle=IDLE, longest=LONGEST)
        await queries.insert_signin(session, make_id(), user_id, hash_token(token))
        return token

    async def end(self, session: WriteSession, token: str) -> None:
        token_hash = hash_token(token)
        await queries.delete_signin(session, token_hash)
        await self._listener.announce(session, _TOPIC, token_hash.hex())

    async def _load_person(self, token_hash: bytes) -> Person | None:
        async with self._database.read_only() as session:
            row = await queries.find_signin(session, token_hash, idle=IDLE, longest=LONGEST)
        if row is None:
            return None
        signin, user, now = row
        if signin.last_seen_at < now - _SEEN_EVERY:
            async with self._database.write_now() as writing:
                await queries.touch_signin(writing, signin.id)
            signin.last_seen_at = now
        expires_at = min(signin.last_seen_at + IDLE, signin.created_at + LONGEST)
        return Person(user.id, user.email, user.name, expires_at)

    def _forget(self, payload: str) -> None:
        if payload:
            self._people.drop(bytes.fromhex(payload))
        else:
            self._people.clear()
