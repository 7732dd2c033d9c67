"""Verifies the hash chain: every hash is recomputed here, without functions of the database.

An intact chain proves that no event before the head was changed, inserted or removed since the head was recorded. An
attacker who may rewrite the whole table can recompute all hashes, and can remove the newest events. Both are detected
only by a head that was recorded elsewhere: in an external log, or in the output of this check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from basewarden.audit import queries
from basewarden.db import Database

START = bytes(32)
BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Broken:
    """The first event that breaks the chain, and why."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`count` and `head` (hex) of the intact part, from the first event on; `has_noted` None = no head was given."""

    count: int
    head: str
    broken: Broken | None
    has_noted: bool | None

    @property
    def is_good(self) -> bool:
        return self.broken is None and self.has_noted is not False

    def list_sentences(self) -> list[str]:
        """Formats the result for the operator's terminal."""
        events = "1 event" if self.count == 1 else f"{self.count:,} events"
        sentences = [f"{events} in an unbroken chain. Head: {self.head}"]
        if self.broken is not None:
            sentences.append(f"Broken at event {self.broken.id}: {self.broken.reason}.")
        if self.has_noted is not None:
            noted = "is in the chain" if self.has_noted else "is not in the chain: events were cut off or rewritten"
            sentences.append(f"The noted head {noted}.")
        return sentences


async def verify_chain(
    database: Database, progress: Callable[[int], None] = lambda _: None, *, noted_head: str | None = None
) -> Verdict:
    """Reads the whole chain in batches, while others append to it. `noted_head` is a head that was recorded earlier."""
    wanted = noted_head.strip().lower() if noted_head is not None else None
    count, head, last_id = 0, START, None
    has_noted = wanted == START.hex()
    while True:
        async with database.read_only() as session:
            rows = await queries.list_links(session, after=last_id, limit=BATCH_ROWS)
        for row in rows:
            reason = find_fault(row, expected_id=count + 1, head=head)
            if reason is not None:
                return Verdict(count, head.hex(), Broken(row.id, reason), has_noted if wanted is not None else None)
            count, head, last_id = count + 1, row.hash, row.id
            has_noted = has_noted or head.hex() == wanted
        if not rows:
            return Verdict(count, head.hex(), None, has_noted if wanted is not None else None)
        progress(count)


def find_fault(row: Any, *, expected_id: int, head: bytes) -> str | None:
    """Returns why this row cannot follow the one with the hash `head`; None if it can."""
    if row.id != expected_id:
        return f"event {expected_id} is missing"
    if row.prev_hash != head:
        return "it does not follow the event before it"
    if row.hash != hash_event(row):
        return "it was changed"
    personal = (row.address, row.name, row.client)
    if row.salt is None:
        return None if personal == (None, None, None) else "from where or with what was put in after it was erased"
    return None if row.place_digest == digest_place(row.salt, *personal) else "from where or with what was changed"


def hash_event(row: Any) -> bytes:
    lines = (
        "basewarden audit 1",
        row.prev_hash.hex(),
        str(row.id),
        row.microseconds,
        str(row.subject),
        row.kind,
        row.place_digest.hex(),
        row.details,
    )
    return sha256("\n".join(lines).encode()).digest()


def digest_place(salt: bytes, address: str | None, name: str | None, client: str | None) -> bytes:
    """Salted, because an address has too few possible values to be hidden by a hash alone."""
    return sha256(salt + "\n".join((address or "", name or "", client or "")).encode()).digest()
