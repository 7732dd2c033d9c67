"""The demo as a person meets it: a quiet start, one link that signs in, and an agent that really breaks something."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.command import read_until, running_command
from tests.fixtures.waiting import wait_until

STRANGER = {"email": "stranger@example.com", "password": "a-long-enough-passphrase-7"}


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    async with running_command(tmp_path, "demo", reads_stdout=True) as (process, _):
        yield process


async def test_from_the_printed_link_to_an_agents_damage(demo: asyncio.subprocess.Process) -> None:
    printed = await read_until(demo, "Press Ctrl-C")
    assert len(printed) <= 12, printed
    (link,) = re.findall(r"http://localhost:\d+/demo/[\w-]+", "\n".join(printed))
    origin = link.partition("/demo/")[0]
    async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, trust_env=False, timeout=30) as person:
        entered = await person.get(link)
        assert entered.status_code == 303
        home = entered.headers["location"]
        assert (await person.get(home)).status_code == 200
        await refuse_used_link(link)
        activity = (await person.get("/settings/account/activity")).text
        assert "Signed in with the demo&#39;s one-time link" in activity
        reopened = await person.get("/demo/agent")
        assert (reopened.status_code, reopened.headers["location"]) == (303, f"{home}/sessions")
        sessions = f"/api/connections/{home.removeprefix('/c/')}/sessions"
        seeded = (await person.get(sessions)).json()["sessions"]
        assert sorted(one["label"] or "" for one in seeded) == ["", "answer-tickets", "spring-cleaning"]
        (wrecked,) = [one for one in seeded if one["label"] == "spring-cleaning"]
        assert wrecked["mutationCount"] > 2000

        async def list_refused() -> set[str]:
            found = (await person.get(sessions.replace("/sessions", "/refusals"))).json()["refusals"]
            return {one["code"] for one in found}

        await wait_until(
            list_refused,
            "the demo's blocked requests",  # which are stored once a second
            matches=lambda found: found == {"egress_blocked", "row_limit"},
        )
        preview = await person.post(f"{sessions}/{wrecked['id']}/undo", json={"mode": "preview"})
        assert len(preview.json()["conflicts"]) == 2
        await refuse_strangers(origin)
        pressed = await person.post("/demo/agent")
        assert pressed.status_code == 303
        assert (await person.post("/demo/agent")).status_code == 303

        async def list_runs() -> list[Any]:
            found = (await person.get(sessions)).json()["sessions"]
            return [one for one in found if (one["label"] or "").startswith("spring-cleaning ")]

        runs = await wait_until(
            list_runs,
            "the agent's damage",
            matches=lambda found: bool(found) and found[0]["mutationCount"] > 300,
            seconds=60,
        )
        assert len(runs) == 1
        await refuse_held_agent(person, home)


async def refuse_held_agent(person: httpx.AsyncClient, home: str) -> None:
    """The button says what holds the agent, and that a release helps."""
    agents = (await person.get(f"/api/connections/{home.removeprefix('/c/')}/agents")).json()["agents"]
    (agent,) = [one["id"] for one in agents if one["name"] == "Shop assistant"]
    own = f"{home}/agents/{agent}"
    for path, release in ((own, f"{own}/release"), (home, f"{home}/freeze")):
        assert (await person.post(f"{path}/freeze", data={})).status_code == 303
        pressed = await person.post("/demo/agent")
        assert pressed.status_code == 409
        assert "Nothing was broken" in pressed.text
        assert f'href="{release}"' in pressed.text
        assert (await person.post(f"{path}/release", data={"reason": "seen"})).status_code == 303


async def refuse_used_link(link: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as other:
        again = await other.get(link)
    assert again.status_code == 410
    assert "set-cookie" not in again.headers


async def refuse_strangers(origin: str) -> None:
    async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, trust_env=False) as stranger:
        assert (await stranger.post("/demo/agent")).headers["location"].startswith("/signin")
        await stranger.post("/api/auth/signup", json=STRANGER)
        await stranger.post("/api/auth/signin", json=STRANGER)
        assert (await stranger.post("/demo/agent")).status_code == 404
        assert "break something" not in (await stranger.get("/connections")).text
