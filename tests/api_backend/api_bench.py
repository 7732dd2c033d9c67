"""A project behind its own API, written to as the api backend does, with a journal that can be looked into."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote
from uuid import UUID

import httpx
import msgspec
import psycopg
from psycopg.rows import dict_row

from basewarden.connections import ConnectionTarget, ConnectionTargets
from basewarden.connections.models import Environment
from basewarden.connections.rest.client import RestClient
from basewarden.connections.rest.keys import parse_key
from basewarden.connections.rest.urls import RestAddress
from basewarden.connections.targets import ProjectAPI
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import Listener
from basewarden.gateway import Caller, Projects, RestCall, RestResult
from basewarden.gateway.api.access import ApiAccess
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.api.recorded_write import handle_write
from basewarden.gateway.api.upstream import Upstream, UpstreamRequest, UpstreamResponse
from basewarden.journal import Reconciler, Recorder
from basewarden.policy import Policy
from basewarden.undo import ApplyOptions, OnConflict, Receipt, Undo, UndoActor
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from pgrest import RestConfig, Schema, parse_request
from pgrest.server import RestServer
from pgrest.settings import load_settings
from tests.fixtures.journal import JournalDatabase
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving
from tests.fixtures.waiting import wait_until

Row = dict[str, Any]
KEY = "sb_secret_0123456789abcdef"
"""The API on loopback asks for none and serves everyone as the superuser; the product sends one always."""
ACTOR = UndoActor(UUID(int=7), "Somebody")


class WatchedUpstream:
    """The product's own client of a project's API. `asked` is what went out.

    `before_write`: what happens, once, just before a write arrives; `after_read`: just after a read.
    """

    def __init__(self, upstream: Upstream, admin: psycopg.AsyncConnection[Row]) -> None:
        self._upstream = upstream
        self._admin = admin
        self.asked: list[UpstreamRequest] = []
        self.before_write: str | Callable[[], Awaitable[None]] | None = None
        self.after_read: str | None = None

    async def ask(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        is_write = request.method != "GET"
        if is_write and self.before_write is not None:
            act, self.before_write = self.before_write, None
            await (self._admin.execute(act.encode()) if isinstance(act, str) else act())
        answer = await self._upstream.ask(request)
        if not is_write and self.after_read is not None:
            script, self.after_read = self.after_read, None
            await self._admin.execute(script.encode())
        return answer


@asynccontextmanager
async def reach_project(port: int) -> AsyncIterator[ApiProject]:
    """The project behind the API on this port, as the product holds one."""
    api = ProjectAPI(RestAddress("http", "127.0.0.1", port), parse_key(Secret(KEY)), ("public",))
    target = ConnectionTarget(make_id(), "Project", Environment.OTHER, None, api, None)
    targets = SimpleNamespace(open_client=lambda api: RestClient(api.address, api.key, allow_private=True))
    project = ApiProject(target, cast(ConnectionTargets, targets))
    try:
        yield project
    finally:
        await project.close()


@asynccontextmanager
async def open_api(dsn: str, **settings: str) -> AsyncIterator[int]:
    """The port on which `basewarden rest` serves the database, as its superuser."""
    given = {"PGRST_DB_URI": dsn, "PGRST_DB_ANON_ROLE": "postgres", "PGRST_DB_POOL": "4", **settings}
    listener = open_listener()
    async with serving(RestServer(load_settings(None, given)), listener, lifespan="on"):
        yield listener.getsockname()[1]


@dataclass
class JournaledWrite:
    """What the journal has of one write."""

    state: str
    verb: str
    changes: list[tuple[str, str, Row | None, Row | None]]
    unseen: list[Row]
    causes: list[str]
    exact: list[tuple[Row | None, Row | None]]


@dataclass
class ApiBench:
    """`admin` is the superuser of the project's database, each statement on its own; `client` asks its API directly."""

    dsn: str = field(repr=False)
    admin: psycopg.AsyncConnection[Row] = field(repr=False)
    client: httpx.AsyncClient
    upstream: WatchedUpstream
    journal: JournalDatabase
    recorder: Recorder
    max_rows: int | None = None
    agent: UUID = field(default_factory=make_id)
    config: RestConfig = field(default_factory=lambda: RestConfig(tx_override=True), repr=False)
    known_schema: Schema | None = field(default=None, repr=False)

    async def run(self, script: str) -> None:
        self.known_schema = None
        await self.admin.execute(script.encode())

    async def rows(self, query: str) -> list[Row]:
        return await (await self.admin.execute(query.encode())).fetchall()

    async def texts(self, *tables: str) -> dict[str, list[str]]:
        """Every row of these tables in PostgreSQL's own text."""
        return {
            table: [row["row"] for row in await self.rows(f"SELECT t::text AS row FROM {table} t ORDER BY 1")]
            for table in tables
        }

    @property
    def port(self) -> int:
        """Where its API is."""
        assert self.client.base_url.port
        return self.client.base_url.port

    async def schema(self) -> Schema:
        """As it is now, and remembered until a script runs."""
        if self.known_schema is None:
            async with reach_project(self.port) as project:
                self.known_schema = await project.schema()
                self.config = project.config
        return self.known_schema

    async def write(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        prefer: str = "return=representation",
        headers: dict[str, str] | None = None,
        max_rows: int | None = None,
        max_writes: int | None = None,
        schema: Schema | None = None,
        blind: bool = False,
    ) -> RestResult:
        place, _, query = path.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        typed = {"content-type": "application/json"} if body is not None else {}
        pairs = {**typed, "prefer": prefer, **(headers or {})}
        call = RestCall(
            method=method,
            path=unquote(place),
            query=query.encode(),
            headers=[(name.encode(), value.encode()) for name, value in pairs.items() if value],
            body=content,
        )
        known = None if blind else schema or await self.schema()
        request = parse_request(
            call.method,
            call.path,
            call.query,
            call.headers,
            call.body,
            config=self.config,
            is_timezone=lambda name: name == "Asia/Tokyo",
        )
        caller = Caller(
            kind="agent",
            id=self.agent,
            name="Robot",
            connection=cast(ConnectionTarget, SimpleNamespace(id=self.journal.connection_id)),
            policy=Policy(can_write=True, needs_filter=True),
            db_role=None,
            claims={},
            max_rows=self.max_rows if max_rows is None else max_rows,
            max_writes=max_writes,
        )
        return await handle_write(self.upstream, known, request, caller, call, self.recorder)

    async def session_id(self) -> UUID:
        """Of this bench's agent, the newest."""
        (row,) = await self.journal.rows(
            f"SELECT id FROM journal_sessions WHERE agent_id = '{self.agent}' ORDER BY id DESC LIMIT 1"
        )
        return cast(UUID, row["id"])

    async def has_session(self) -> bool:
        return bool(await self.journal.rows(f"SELECT 1 FROM journal_sessions WHERE agent_id = '{self.agent}'"))

    async def make_undo(self) -> Undo:
        """As the product wires it, with this project's API for all there is."""

        async def find_api_access(_: UUID) -> ApiAccess:
            return ApiAccess(self.upstream, await self.schema(), find_newer)

        async def find_newer(_: Schema) -> Schema:
            self.known_schema = None
            return await self.schema()

        async def ask(*_: object) -> dict[int, str | None]:
            raise AssertionError("there is no transaction to ask about")

        database = self.journal.database
        listener = Listener(Secret(self.journal.dsn))
        return Undo(
            database,
            listener,
            cast(Projects, None),
            self.recorder,
            Reconciler(database, ask),
            find_api_access=find_api_access,
        )

    async def undo(
        self,
        session_id: UUID | None = None,
        on_conflict: OnConflict = "refuse",
        choices: Choices = NO_CHOICES,
    ) -> Receipt:
        undo = await self.make_undo()
        wanted = session_id or await self.session_id()
        return await undo.apply(self.journal.connection_id, wanted, ACTOR, ApplyOptions(on_conflict, choices=choices))

    async def preview(self, session_id: UUID | None = None) -> Receipt:
        undo = await self.make_undo()
        return await undo.preview(self.journal.connection_id, session_id or await self.session_id())

    async def session(self, session_id: UUID) -> Row:
        (row,) = await self.journal.rows(f"SELECT * FROM journal_sessions WHERE id = '{session_id}'")
        return row

    async def list_writes(self) -> list[JournaledWrite]:
        """All writes of this bench's agent, in order."""
        writes = await self.journal.rows(
            "SELECT w.* FROM journal_writes w JOIN journal_sessions s ON s.id = w.session_id"
            f" WHERE s.agent_id = '{self.agent}' ORDER BY w.id"
        )
        return [await self._read_write(write) for write in writes]

    async def wait_state(self, state: str) -> JournaledWrite:
        """The last write, once the journal has heard what became of it."""
        return await wait_until(
            self.last, f"the write to be {state}", matches=lambda write: write.state == state, seconds=5
        )

    async def last(self) -> JournaledWrite:
        return (await self.list_writes())[-1]

    async def _read_write(self, write: Row) -> JournaledWrite:
        rows = await self.journal.rows(
            "SELECT *, before::text AS b, after::text AS a FROM journal_mutations"
            f" WHERE write_id = '{write['id']}' ORDER BY position"
        )
        return JournaledWrite(
            write["state"],
            write["verb"],
            [(row["table_name"], row["verb"], _load(row["b"]), _load(row["a"])) for row in rows],
            write["unseen"] or [],
            [row["cause"] for row in rows],
            [(row["before_exact"], row["after_exact"]) for row in rows],
        )


def _load(image: str | None) -> Row | None:
    return None if image is None else json.loads(image)


def body_of(answer: RestResult) -> Any:
    return msgspec.json.decode(answer.response.body)


def header_of(answer: RestResult, wanted: str) -> str | None:
    return next((value for name, value in answer.response.headers if name.lower() == wanted), None)


@asynccontextmanager
async def open_api_bench(
    dsn: str, script: str, journal: JournalDatabase, recorder: Recorder, **settings: str
) -> AsyncIterator[ApiBench]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as admin:
        await admin.execute(script.encode())
        async with (
            open_api(dsn, **settings) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
            reach_project(port) as project,
        ):
            yield ApiBench(dsn, admin, client, WatchedUpstream(project.upstream, admin), journal, recorder)
