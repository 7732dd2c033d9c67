"""Server-sent events of a connection: what happens to its sessions, read from the journal in the order of commits."""

from basewarden.journal.live.feeds import LiveFeeds, StreamLimits, TooManyStreams
from basewarden.journal.live.stream import EventStream
from basewarden.journal.live.subscriber import Subscriber

__all__ = ["EventStream", "LiveFeeds", "StreamLimits", "Subscriber", "TooManyStreams"]
