"""What people call recorded rows that have no name of their own: the name of a row that they refer to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from basewarden.connections import Membership
from basewarden.web import inject


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """`values` are PostgreSQL's own text."""

    schema: str
    table: str
    values: Mapping[str, str | None]


class RowNames:
    """Reads names from the project, as far as the member may read the rows; the workspace says how.

    A name is None where there is none, or where the project did not answer in time.
    """

    def __init__(self, read: Callable[[Membership, Sequence[RecordedRow]], Awaitable[Sequence[str | None]]]) -> None:
        self._read = read

    async def read(self, member: Membership, rows: Sequence[RecordedRow]) -> Sequence[str | None]:
        """Returns a name, or None, for each row."""
        return await self._read(member, rows) if rows else ()


RowNamesDep = Annotated[RowNames, Depends(inject(RowNames))]
