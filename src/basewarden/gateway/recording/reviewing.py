"""What stands between a write and the journal where a person has a say in it: it is held back, or checked once more."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from basewarden.journal import IntentOutcome, Recorded, State, WriteEntry
from pgrest import Name


class WriteRecorder(Protocol):
    """Where a backend records what it is about to change; `Recorder` is it for what needs no review."""

    async def record(self, entry: WriteEntry) -> Recorded: ...

    def mark(self, write_id: UUID, state: State) -> None: ...

    async def store_outcome(self, outcome: IntentOutcome) -> bool: ...

    def queue_outcome(self, outcome: IntentOutcome) -> None: ...


class WriteReview(Protocol):
    """The check of a write that a person has approved."""

    async def check(self, entry: WriteEntry) -> UUID:
        """The id that the write is to have in the journal. Raises what it is refused with."""

    def note_recorded(self, recorded: Recorded) -> None:
        """From here on it is not known whether the write is applied."""

    def note_outcome(self, state: State) -> None: ...


class WriteHeld(Exception):
    """A write that must be approved first. Its transaction is rolled back, or nothing was sent.

    `named` are the columns that the request names, `body` its rows where the rows after are not known. `after_reading`
    are the tables of strangers' rows for which it is held.
    """

    def __init__(self, entry: WriteEntry, named: frozenset[str], body: bytes, after_reading: Sequence[Name]) -> None:
        super().__init__("the write waits for an approval")
        self.entry = entry
        self.named = named
        self.body = body
        self.after_reading = after_reading


class HeldForApproval:
    """The review of a write that has no approval yet: raises WriteHeld with what would be recorded."""

    def __init__(self, named: frozenset[str], body: bytes = b"", after_reading: Sequence[Name] = ()) -> None:
        self._named = named
        self._body = body
        self._after_reading = after_reading

    async def check(self, entry: WriteEntry) -> UUID:
        raise WriteHeld(entry, self._named, self._body, self._after_reading)

    def note_recorded(self, recorded: Recorded) -> None:
        """Never comes."""

    def note_outcome(self, state: State) -> None:
        """Never comes."""


class ReviewedRecorder:
    """Records what its review lets pass, and says what became of it."""

    def __init__(self, recorder: WriteRecorder, review: WriteReview) -> None:
        self._recorder = recorder
        self._review = review

    async def record(self, entry: WriteEntry) -> Recorded:
        write_id = await self._review.check(entry)
        recorded = await self._recorder.record(replace(entry, write_id=write_id))
        self._review.note_recorded(recorded)
        return recorded

    def mark(self, write_id: UUID, state: State) -> None:
        self._review.note_outcome(state)
        self._recorder.mark(write_id, state)

    async def store_outcome(self, outcome: IntentOutcome) -> bool:
        self._review.note_outcome(outcome.state)
        return await self._recorder.store_outcome(outcome)

    def queue_outcome(self, outcome: IntentOutcome) -> None:
        self._review.note_outcome(outcome.state)
        self._recorder.queue_outcome(outcome)
