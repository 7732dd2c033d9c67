"""What people call recorded rows, and the rows that they refer to, as the project names them now."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class NamedRow:
    """What people call a row: by a column of its own (`own`), or by the row that it refers to (`reference`).

    `values` are the names of the rows that its columns refer to.
    """

    own: str | None = None
    reference: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


NO_NAMES = NamedRow()


class RowNames:
    """Reads names from the project, as far as the member may read the rows; the workspace says how.

    A name is missing where there is none, or where the project did not answer in time.
    """

    def __init__(self, read: Callable[[Membership, Sequence[RecordedRow]], Awaitable[Sequence[NamedRow]]]) -> None:
        self._read = read

    async def read(self, member: Membership, rows: Sequence[RecordedRow]) -> Sequence[NamedRow]:
        """Returns the names of each row."""
        return await self._read(member, rows) if rows else ()


RowNamesDep = Annotated[RowNames, Depends(inject(RowNames))]
