"""A request to the data API and its result, the same for both backends."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pgrest import Response, TextLimit


@dataclass(frozen=True, slots=True)
class RestCall:
    """An HTTP request as the road takes it; `path` is what follows `/rest/v1`. `label` is the client's session name.

    `raw_path` is the same percent-encoded, for a name with a slash in it; `text_limit` cuts what is read as text, where
    the database is asked directly.
    """

    method: str
    path: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    label: str | None = None
    raw_path: bytes | None = None
    text_limit: TextLimit | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether its path and query alone say what it is, so that a plan may be kept under them."""
        return self.raw_path is None and self.text_limit is None

    @property
    def sent(self) -> bytes:
        """What the caller itself named: the path and the query on a line, then the body."""
        return b"%b?%b\n%b" % (self.path.replace("\n", " ").encode(), self.query, self.body)


@dataclass(frozen=True, slots=True)
class RestResult:
    response: Response
    session_id: UUID | None = None
