"""Runs the demo's agent: once for the session that a new demo begins with, and at each press of the button."""

import asyncio
import secrets
from datetime import UTC, datetime

import httpx
import structlog
from postgrest.exceptions import APIError

from basewarden.demo.agent_work import AgentWork, agent_client
from basewarden.demo.data import DemoData
from basewarden.demo.person_edits import PersonEdits
from basewarden.demo.proposed_writes import propose_writes
from basewarden.demo.support_run import run_support_agent
from basewarden.errors import Conflict, Unavailable

SESSION_NAME = "spring-cleaning"
_PAUSE_SECONDS = 0.7
"""Between the steps of a run that a person watches."""
_log = structlog.get_logger()


class AgentRefused(Conflict):
    code = "demo_agent_refused"
    message = "The demo's agent has no token that works. Stop the demo and start it again to create a new one."


class AgentRuns:
    """At most one run at a time."""

    def __init__(self) -> None:
        self._data: DemoData | None = None
        self._running: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    def use(self, data: DemoData) -> None:
        """The data is prepared over HTTP, so it is known only when the server runs."""
        self._data = data

    @property
    def data(self) -> DemoData:
        if self._data is None:
            raise Unavailable("The demo is still starting. Try again in a moment.")
        return self._data

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    async def seed(self) -> None:
        """A session with damage, a person's newer edits to two of its rows, refused requests, and two proposals."""
        edits = PersonEdits(self.data)
        await edits.choose_rows()
        await self._work(SESSION_NAME)
        await edits.edit()
        await run_support_agent(self.data)
        await propose_writes(self.data)

    async def start(self) -> None:
        """Raises AgentRefused where the agent's token no longer works."""
        async with self._starting:
            if self.is_running:
                return
            await self._check_access()
            name = f"{SESSION_NAME} {datetime.now(UTC):%H:%M:%S}"
            self._running = asyncio.create_task(self._run(name))

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _check_access(self) -> None:
        headers = {"apikey": self.data.agent_token.reveal()}
        async with httpx.AsyncClient(headers=headers) as client:
            answer = await client.get(f"{self.data.api}/rest/v1/products?select=id&limit=1")
        if answer.is_error:
            raise AgentRefused

    async def _run(self, name: str) -> None:
        try:
            price = f"0.{2 + secrets.randbelow(98):02}"  # hardly ever the last run's, so that rows change
            await self._work(name, price=price, pause=_PAUSE_SECONDS)
        except (APIError, httpx.HTTPError) as error:
            _log.warning("demo.agent_stopped", reason=str(error))

    async def _work(self, name: str, *, price: str = "0.01", pause: float = 0) -> None:
        async with agent_client(self.data, name) as agent:
            work = AgentWork(agent, name, _ignore_line, price=price, pause=pause)
            await work.read()
            await work.work()
            await work.cause_damage()
            await work.attempt_too_much()


def _ignore_line(_: str) -> None:
    """A run for the pages has no transcript."""
