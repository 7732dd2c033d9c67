"""The demo's button, with a server that answers what the agent asks first and nothing more."""

import asyncio

import httpx

from basewarden.core.secret import Secret
from basewarden.demo import AgentRuns, DemoData
from tests.fakes.hostile import HostileExchange, make_answer, serve_hostile
from tests.fixtures.waiting import wait_until


async def test_presses_at_the_same_moment_start_one_run() -> None:
    begun: list[str] = []

    async def answer(turn: HostileExchange) -> None:
        if "select=id&" in turn.heard.target:
            await turn.send(make_answer(200, []))
            return
        begun.append(turn.heard.headers["x-basewarden-session"])
        await turn.gone()

    async with serve_hostile(answer) as server, httpx.AsyncClient() as person:
        runs = AgentRuns()
        runs.use(DemoData(server.url, person, Secret("p"), Secret("d"), "c", Secret("t"), is_new=False))
        await asyncio.gather(*(runs.start() for _ in range(5)))
        await wait_until(lambda: begun, "the run", seconds=5)
        assert [one.target for one in server.heard].count("/api/v/c/rest/v1/products?select=id&limit=1") == 1
        await runs.stop()
    assert len(begun) == 1
