"""A request to the data API and its result, the same for both backends."""

from uuid import UUID

import msgspec

from pgrest import HttpCall, Response, TextLimit


class RestCall(HttpCall, frozen=True):
    """An HTTP request to a connection's data; `path` is what follows `/rest/v1`. `label` is the client's session name.

    `text_limit` cuts what is read as text, where the database is asked directly.
    """

    label: str | None = None
    text_limit: TextLimit | None = None

    @property
    def has_shape(self) -> bool:
        return self.raw_path is None and self.text_limit is None

    @property
    def sent(self) -> bytes:
        """What the caller itself sent: the path and the query on a line, then the body."""
        return b"%b?%b\n%b" % (self.path.replace("\n", " ").encode(), self.query, self.body)


class RestResult(msgspec.Struct, frozen=True):
    response: Response
    session_id: UUID | None = None
    write_id: UUID | None = None
    """The write in the journal; None where the request was several writes, or none."""
