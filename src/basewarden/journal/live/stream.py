"""The response of a stream: `text/event-stream` that ends with the client, the person's access, or this process."""

import asyncio
import random
import time
from typing import Any

from starlette.responses import Response

from basewarden.accounts import SignInSessions
from basewarden.errors import AppError, Unauthenticated, Unavailable
from basewarden.journal.live.feeds import LiveFeeds
from basewarden.journal.live.subscriber import Subscriber
from basewarden.web import find_draining

HEARTBEAT_SECONDS = 20.0
"""Proxies close a connection that is silent, usually after 30 or 60 seconds."""
CHECK_SECONDS = 60.0
"""Between two checks of the sign-in session; its end is announced, and then checked at once."""
LONGEST_SECONDS = 1800.0
RETRY_SECONDS = (1.0, 3.0)
"""Before a client connects again: at random, so that not all come at once after a restart."""
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream(Response):
    """Holds no database connection. `position` is the id of the last event that the client has, if any."""

    media_type = "text/event-stream"

    def __init__(self, feeds: LiveFeeds, signins: SignInSessions, subscriber: Subscriber, position: str | None) -> None:
        self._feeds = feeds
        self._signins = signins
        self._subscriber = subscriber
        self._position = position
        self.status_code = 200
        self.background = None
        self.raw_headers = list(_HEADERS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        draining = find_draining(scope)
        if draining.has_begun:
            raise Unavailable("The server is restarting. Try again in a moment.", headers={"Retry-After": "1"})
        self._feeds.admit(self._subscriber.person_id)
        gone = asyncio.create_task(self._watch(receive), name="live-disconnect")
        draining.add(self._subscriber.end)
        try:
            await self._feeds.join(self._subscriber, self._position)
            if not await self._may_read(scope):
                raise Unauthenticated  # it ended while the stream was opened, before its end could reach the stream
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_events(scope, send)
        finally:
            gone.cancel()
            draining.remove(self._subscriber.end)
            self._feeds.leave(self._subscriber)
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, scope: Any, send: Any) -> None:
        subscriber, started = self._subscriber, time.monotonic()
        checked = started
        retry = random.uniform(*RETRY_SECONDS)  # noqa: S311 - spreads the load
        body = b"retry: %d\n\n%b" % (retry * 1000, subscriber.take() or self._beat())
        while not subscriber.is_ended:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await subscriber.wait(HEARTBEAT_SECONDS)
            now = time.monotonic()
            if now - started > LONGEST_SECONDS:
                return
            if subscriber.must_check or now - checked > CHECK_SECONDS:
                checked = now
                if not await self._may_read(scope):
                    return
            body = subscriber.take() or self._beat()

    def _beat(self) -> bytes:
        """A comment, and the current position for a client that reconnects: it is no event."""
        return b": \nid: %b\n\n" % self._subscriber.position.encode()

    async def _may_read(self, scope: Any) -> bool:
        """Whether the sign-in session is still valid. The feed checks the membership."""
        self._subscriber.must_check = False
        try:
            person = await self._signins.find_signed_in(scope)
        except AppError:
            return False
        return person is not None and person.id == self._subscriber.person_id

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._subscriber.end()
