"""The check of an approved write: it runs only if it changes exactly what was shown."""

from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.gateway import read_write_pins
from basewarden.journal import Recorded, State, WriteEntry
from basewarden.proposals import Claim, Claims, ProposalFailed, ProposalStale, find_difference

_LOST = "The approval took too long. Nothing was changed."


class ApprovedWrite:
    """One run of a proposal. `is_open` says that the write may have been applied."""

    def __init__(self, claims: Claims, claim: Claim) -> None:
        self._claims = claims
        self._claim = claim
        self._has_begun = False
        self.write_id = claim.write_id
        self.session_id: UUID | None = None
        self.is_open = False

    async def check(self, entry: WriteEntry) -> UUID:
        """Raises ProposalStale, or ProposalFailed where the claim was taken away in the meantime.

        A write that was not carried out and is tried in another form gets a new id, which the claim must have first.
        """
        difference = find_difference(self._claim.pins, read_write_pins(entry))
        if difference is not None:
            raise ProposalStale(difference)
        write_id = make_id() if self._has_begun else self.write_id
        if not await self._claims.renew(self._claim, self.write_id, write_id):
            raise ProposalFailed(_LOST)
        self._has_begun, self.write_id = True, write_id
        return write_id

    def note_recorded(self, recorded: Recorded) -> None:
        self.session_id, self.is_open = recorded.session_id, True

    def note_outcome(self, state: State) -> None:
        self.is_open = state != "aborted"
