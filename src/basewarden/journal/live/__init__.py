"""Server-sent events of a connection: what happens to its sessions, read from the journal in the order of commits."""

from basewarden.journal.live.events import LiveEvent, cut_text, make_event
from basewarden.journal.live.feeds import LiveFeeds, StreamLimits, TooManyStreams
from basewarden.journal.live.positions import JournalSnapshot
from basewarden.journal.live.queries import became_visible
from basewarden.journal.live.stream import EventStream
from basewarden.journal.live.subscriber import Subscriber

__all__ = [
    "EventStream",
    "JournalSnapshot",
    "LiveEvent",
    "LiveFeeds",
    "StreamLimits",
    "Subscriber",
    "TooManyStreams",
    "became_visible",
    "cut_text",
    "make_event",
]
