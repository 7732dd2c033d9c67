"""Searches for one person: what is of the connection that they look at, and what is not of one."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends

from basewarden.accounts import Person
from basewarden.approvals import NOTHING_WAITS, read_waiting
from basewarden.connections import Agent, ConnectionTargets, Role, TwoFactorRequired, list_agents
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.journal import SessionSummary, list_sessions
from basewarden.web import SettingsDep, inject
from basewarden.workspace.palette.commands import ExtraCommands, list_commands
from basewarden.workspace.palette.data import RowMatches, find_rows, list_tables
from basewarden.workspace.palette.items import PaletteGroup, PaletteItem, match_groups
from basewarden.workspace.palette.places import list_connections, list_general, list_own_places, list_rooms
from basewarden.workspace.table_client import BackendsDep, ProjectsDep, TableClient, make_table_client

MIN_ROW_TEXT = 2
SESSIONS_SEARCHED = 40
AGENTS_SEARCHED = 200
LAST_SESSIONS = 3
TABLES_FIRST = 3
_OF_LAST_SESSIONS = "undo redo revert session last"
SCHEMA_SECONDS = 0.4
"""Tables of a project whose schema takes longer to load appear with a later key, once it is loaded."""


class PaletteSearch:
    """`search` reads our own database and answers at once; `search_rows` reads the project."""

    def __init__(
        self,
        targets: Annotated[ConnectionTargets, Depends(inject(ConnectionTargets))],
        projects: ProjectsDep,
        backends: BackendsDep,
        settings: SettingsDep,
        extra: Annotated[ExtraCommands, Depends(inject(ExtraCommands))],
    ) -> None:
        self._targets = targets
        self._projects = projects
        self._backends = backends
        self._settings = settings
        self._extra = extra

    async def find_role(self, connection_id: UUID | None, person: Person) -> Role | None:
        """A connection that needs a second factor counts as none until the person has it."""
        try:
            return await self._targets.find_role(connection_id, person) if connection_id else None
        except TwoFactorRequired:
            return None

    async def search(
        self, db: ReadSession, connection_id: UUID | None, person: Person, connections: Iterable[Any], text: str
    ) -> list[PaletteGroup]:
        """Without a text: the tables that were written lately, commands, then the main pages, which the sidebar has.

        A connection of others counts as none.
        """
        role = await self.find_role(connection_id, person)
        current = connection_id if role else None
        sessions = await list_sessions(db, current, limit=SESSIONS_SEARCHED) if current else []
        agents = await list_agents(db, current, before=None, limit=AGENTS_SEARCHED) if current and text else []
        waiting = await read_waiting(db, current) if current else NOTHING_WAITS
        groups = [list_commands(current, role, sessions, agents, waiting, self._extra.list_for(person.email))]
        if current is not None and role is not None:
            rooms, tables = list_rooms(current, role), await self._find_tables(current, person, role, sessions)
            first = [rooms, *groups, tables, *_list_people(current, agents, sessions)]
            groups = first if text else [PaletteGroup(tables.title, tables.items[:TABLES_FIRST]), *groups, rooms]
        groups.append(list_connections(connections, current))
        if text:
            has_github, has_billing = self._settings.has_github, self._settings.has_billing
            groups += list_general(has_github=has_github, has_billing=has_billing)
        else:
            groups.append(list_own_places())
        return match_groups(groups, text)

    async def search_rows(self, connection_id: UUID | None, person: Person, text: str) -> RowMatches:
        role = await self.find_role(connection_id, person)
        if connection_id is None or role is None or len(text) < MIN_ROW_TEXT:
            return RowMatches((), is_complete=True)
        try:
            client = await self._make_client(connection_id, person, role)
        except AppError:  # without the project's database there are no rows, but still the other results
            return RowMatches((), is_complete=True)
        return await find_rows(client, connection_id, text)

    async def _find_tables(
        self, connection_id: UUID, person: Person, role: Role, sessions: Sequence[SessionSummary]
    ) -> PaletteGroup:
        used = [name for one in sessions for name in one.table_names]
        try:
            async with asyncio.timeout(SCHEMA_SECONDS):
                return list_tables(await self._make_client(connection_id, person, role), connection_id, used)
        except (AppError, TimeoutError):
            return PaletteGroup("Tables", [])

    async def _make_client(self, connection_id: UUID, person: Person, role: Role) -> TableClient:
        return await make_table_client(self._backends, self._projects, connection_id, person, role)


def _list_people(
    connection_id: UUID, agents: Sequence[Agent], sessions: Sequence[SessionSummary]
) -> tuple[PaletteGroup, PaletteGroup]:
    home = f"/c/{connection_id}"
    found_by = chain(repeat(_OF_LAST_SESSIONS, LAST_SESSIONS), repeat(""))
    listed = [_describe_session(one, home, words) for one, words in zip(sessions, found_by, strict=False)]
    return (
        PaletteGroup("Agents", [PaletteItem(one.name, f"{home}/agents/{one.id}", "key", "agent") for one in agents]),
        PaletteGroup("Sessions", listed),
    )


def _describe_session(found: SessionSummary, home: str, more_words: str) -> PaletteItem:
    caller, href = found.session.caller_name, f"{home}/sessions/{found.session.id}"
    return PaletteItem(found.title, href, "clock", f"session of {caller}", f"{caller} {more_words}")
