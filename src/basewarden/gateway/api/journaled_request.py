"""One request that changes something at a project's own API, recorded before it is sent and after its response.

The API reports no transaction, so the intent is stored before the request goes out and its outcome after. A write
whose outcome is not known is never recorded as committed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from basewarden.gateway.api.upstream import Upstream, UpstreamRequest, UpstreamResponse
from basewarden.gateway.errors import OutcomeUnknown, UpstreamUnavailable
from basewarden.gateway.recording.reviewing import WriteRecorder
from basewarden.gateway.running import Interrupted, hold_stops, interruptible
from basewarden.journal import INTENT_LIFE, IntentOutcome, Recorded, RowChange, UncapturedChanges, WriteEntry

WRITE_SECONDS = INTENT_LIFE.total_seconds() * 0.8
"""An intent without an outcome counts as unknown after its life: a request must have been given up by then."""

# The database's connection was lost, or the response was spoilt after COMMIT: PostgREST itself does not know whether
# the transaction was committed.
_UNDECIDED_CODES = ("08", "57P", "PGRST001", "PGRST111", "PGRST112")
OUTDATED_CODES: Final = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42P01", "42703", "42883"})
"""Errors about something that our schema snapshot has and the project no longer has, or the reverse."""
_STOPPED = "This was stopped while the project's API worked on the write. It may or may not have been applied."
_REQUEST_TIMEOUT = 408
_MOST_ERROR_BYTES = 1024 * 1024
ResponseOutcome = Literal["done", "refused", "unknown"]


class UpstreamRefused(Exception):
    """The project's own API refused the request, so nothing was changed; its response is passed on to the client."""

    def __init__(self, answer: UpstreamResponse) -> None:
        super().__init__(f"answered {answer.status}")
        self.answer = answer

    @property
    def code(self) -> str:
        return read_code(self.answer)

    @property
    def is_outdated(self) -> bool:
        """Whether our schema snapshot may be the reason."""
        return self.code in OUTDATED_CODES


@dataclass(frozen=True, slots=True)
class JournaledRequest:
    """A request whose intent is stored. After `send`, `store_outcome` or `mark_unknown` must follow."""

    recorder: WriteRecorder
    entry: WriteEntry
    recorded: Recorded

    @classmethod
    async def record_intent(cls, recorder: WriteRecorder, entry: WriteEntry) -> "JournaledRequest":
        """Raises what the recorder raises; then nothing may be sent."""
        hold_stops()
        return cls(recorder, entry, await recorder.record(entry))

    async def send(self, upstream: Upstream, request: UpstreamRequest) -> UpstreamResponse:
        """The response to a request that was carried out.

        Raises UpstreamRefused, UpstreamUnavailable or the error of a stop when nothing was changed, OutcomeUnknown when
        that is not known.
        """
        try:
            with interruptible():
                async with asyncio.timeout(WRITE_SECONDS):
                    answer = await upstream.ask(request)
        except UpstreamUnavailable:
            self._queue("aborted")
            raise
        except Interrupted as stopped:
            self._queue("unknown" if stopped.has_begun else "aborted")
            raise (OutcomeUnknown(_STOPPED) if stopped.has_begun else stopped.error) from None
        except (OutcomeUnknown, TimeoutError) as error:
            self._queue("unknown")
            raise OutcomeUnknown from error
        except asyncio.CancelledError:
            self._queue("unknown")
            raise
        match classify_response(answer):
            case "done":
                return answer
            case "refused":
                self._queue("aborted")
                raise UpstreamRefused(answer)
            case "unknown":
                self._queue("unknown")
                raise OutcomeUnknown

    async def store_outcome(self, changes: Sequence[RowChange], uncaptured: Sequence[UncapturedChanges] = ()) -> None:
        """Records what the request changed. An outcome that cannot be stored yet is kept by the recorder."""
        caller = self.entry.caller
        await self.recorder.store_outcome(
            IntentOutcome(self.recorded, caller.connection_id, "committed", tuple(changes), tuple(uncaptured))
        )

    def mark_unknown(self) -> None:
        """The request was carried out, and its response does not say what it changed."""
        self._queue("unknown")

    def _queue(self, state: Literal["aborted", "unknown"]) -> None:
        self.recorder.queue_outcome(IntentOutcome(self.recorded, self.entry.caller.connection_id, state))


def classify_response(answer: UpstreamResponse) -> ResponseOutcome:
    """PostgREST responds after the end of its transaction; a gateway in front of it may respond before."""
    if 200 <= answer.status < 300:
        return "done"
    code = read_code(answer)
    if code.startswith(_UNDECIDED_CODES):
        return "unknown"
    if answer.status >= 500:
        return "refused" if code else "unknown"
    return "unknown" if answer.status == _REQUEST_TIMEOUT else "refused"


def read_code(answer: UpstreamResponse) -> str:
    """The code of PostgREST's or PostgreSQL's own error; empty when it is none."""
    return read_error(answer).get("code") or ""


def read_error(answer: UpstreamResponse) -> dict[str, str]:
    """The texts of an error in PostgREST's form: code, message, details, hint."""
    if len(answer.body) > _MOST_ERROR_BYTES:
        return {}
    try:
        body = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(body, dict) or "message" not in body:
        return {}
    return {name: value for name, value in body.items() if isinstance(value, str)}
