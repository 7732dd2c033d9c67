"""A project's own REST API, as the API backend uses it."""

from dataclasses import dataclass
from typing import Protocol

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What goes out: `path` below `/rest/v1` and `query` are percent-encoded already; headers hold no credential."""

    method: str
    path: str
    query: str = ""
    headers: tuple[Header, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    status: int
    headers: tuple[Header, ...]
    body: bytes


class Upstream(Protocol):
    async def ask(self, request: UpstreamRequest) -> UpstreamResponse:
        """The whole answer.

        Raises UpstreamUnavailable when nothing can have happened there, OutcomeUnknown when the request may have been
        carried out.
        """
