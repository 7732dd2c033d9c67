"""`/api/connections/<id>/events` and `/api/connections/<id>/sessions/<sid>/events`: what happens, as it happens."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request

from basewarden.accounts import SignInSessions
from basewarden.connections import Viewer
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound
from basewarden.journal.live import EventStream, LiveFeeds, Subscriber, TooManyStreams
from basewarden.journal.live.queries import session_exists
from basewarden.web import Reading, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["sessions"])

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The `id` of the last event.")]
After = Annotated[str | None, Query(description="The same, for a client that cannot send the header.")]
_EXAMPLE = "id: …\nevent: reload\ndata: {}\n"
"""What a client gets that has missed too much."""
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A stream of events until the client disconnects.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    **declare(TooManyStreams),
}


class StreamOpener:
    """What both routes need to open a stream for the signed-in person."""

    def __init__(
        self,
        request: Request,
        member: Viewer,
        feeds: Annotated[LiveFeeds, Depends(inject(LiveFeeds))],
        signins: Annotated[SignInSessions, Depends(inject(SignInSessions))],
        last_event_id: LastEventId = None,
        after: After = None,
    ) -> None:
        self._signin = signins.read_hash(request.scope)
        self._member = member
        self._feeds = feeds
        self._signins = signins
        self._position = last_event_id or after

    def open(self, session_id: UUID | None = None) -> EventStream:
        connection_id, person_id = self._member.connection.id, self._member.person.id
        subscriber = Subscriber(connection_id, person_id, self._signin, session_id)
        return EventStream(self._feeds, self._signins, subscriber, self._position)


@router.get(
    "/events",
    summary="Streams what happens to the sessions of a connection, as server-sent events.",
    response_class=EventStream,
    status_code=200,
    responses=_ANSWER,
)
async def get_events(opener: Annotated[StreamOpener, Depends()]) -> EventStream:
    """Sends the events `write`, `refused`, `state`, `proposal` and `reload`, with JSON that holds no values of rows.

    `write` sums up the writes of one session since its last event. `state` says that a session was frozen, released or
    undone, or an agent stopped or released, by whom and why. `proposal` says that one was created or decided, or is
    stale or expired. `reload` says that too much has happened since the position: load everything again.

    A stream that continues after the `id` of an event misses nothing and repeats nothing. Without one it begins with
    the writes of the last five seconds. A position is valid for an hour.
    """
    return opener.open()


@router.get(
    "/sessions/{session_id}/events",
    summary="Streams what happens to one session, as server-sent events.",
    response_class=EventStream,
    status_code=200,
    responses=_ANSWER,
)
async def get_session_events(
    session_id: str, member: Viewer, db: Reading, opener: Annotated[StreamOpener, Depends()]
) -> EventStream:
    """The same events as those of the connection, of this session only."""
    known = parse_id(session_id)
    if known is None or not await session_exists(db, member.connection.id, known):
        raise NotFound("There is no such session.")
    return opener.open(known)
