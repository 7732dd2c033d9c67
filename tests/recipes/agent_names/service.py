"""Lists the names of agents, as a form completes them."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.db import ReadSession
from tests.recipes.agent_names import queries


@dataclass(frozen=True, slots=True)
class NamePage:
    """`has_more`: there are more names than were asked for."""

    names: list[str]
    has_more: bool


async def complete_name(session: ReadSession, connection_id: UUID, *, starts_with: str, limit: int) -> NamePage:
    found = await queries.list_names(session, connection_id, starts_with=starts_with, limit=limit + 1)
    return NamePage(found[:limit], len(found) > limit)
