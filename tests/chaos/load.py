"""Agents that write until the server is gone."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.chaos.worlds import AGENTS, AgentCall, ChaosWorld

WORKERS_OF_AN_AGENT = 2
PASSWORD = "a long walk in the rain"


@dataclass(frozen=True)
class Office:
    """An account, its connection, and the tokens of its agents."""

    person: httpx.AsyncClient
    connection_id: str
    tokens: tuple[str, ...]

    def api(self) -> str:
        return f"/api/v/{self.connection_id}/rest/v1"


@dataclass
class Outcomes:
    """The answers that the agents got. `unknown`: the answer never came."""

    statuses: Counter[int] = field(default_factory=Counter)
    unknown: int = 0
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, status: int) -> None:
        self.statuses[status] += 1
        self.first.set()


@asynccontextmanager
async def open_office(origin: str, postgres_url: str, db_role: str | None) -> AsyncIterator[Office]:
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=60) as person:
        account = {"email": "chaos@example.com", "password": PASSWORD}
        (await person.post("/api/auth/signup", json=account)).raise_for_status()
        (await person.post("/api/auth/signin", json=account)).raise_for_status()
        made = await person.post("/api/connections", json={"name": "Chaos", "postgresUrl": postgres_url})
        made.raise_for_status()
        connection_id = str(made.json()["id"])
        tokens = [await _make_agent(person, connection_id, number, db_role) for number in range(AGENTS)]
        yield Office(person, connection_id, tuple(tokens))


async def _make_agent(person: httpx.AsyncClient, connection_id: str, number: int, db_role: str | None) -> str:
    wanted = {"name": f"agent {number}", "access": "write", "dbRole": db_role, "maxWritesPerSession": 1_000_000}
    made = await person.post(f"/api/connections/{connection_id}/agents", json=wanted)
    made.raise_for_status()
    return str(made.json()["token"])


async def write_until_gone(origin: str, office: Office, world: ChaosWorld, seed: int, outcomes: Outcomes) -> None:
    """Ends when every worker has lost the server."""
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=30) as client, asyncio.TaskGroup() as group:
        for agent, token in enumerate(office.tokens):
            for worker in range(WORKERS_OF_AN_AGENT):
                chance = random.Random(f"{seed}/{agent}/{worker}")
                group.create_task(_work(client, office.api(), token, world, chance, agent, outcomes))


async def _work(
    client: httpx.AsyncClient,
    api: str,
    token: str,
    world: ChaosWorld,
    chance: random.Random,
    agent: int,
    outcomes: Outcomes,
) -> None:
    while True:
        try:
            outcomes.note(await _send(client, api, token, world.draw(chance, agent)))
        except httpx.TransportError:
            outcomes.unknown += 1
            return


async def _send(client: httpx.AsyncClient, api: str, token: str, call: AgentCall) -> int:
    headers = {"apikey": token, **call.headers}
    return (await client.request(call.method, api + call.path, json=call.body, headers=headers)).status_code
