"""The origin rule: every unsafe method, every kind of origin, a person and an agent; and no handler runs on a refusal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fixtures.bench import Bench, BenchAgent, Workshop

COOKIE = "authjs.session-token"


@dataclass(frozen=True)
class CrossOriginCall:
    """A request that changes something, and who sends it."""

    by: httpx.AsyncClient
    method: str
    path: str
    body: Any


def list_origins(own: str) -> dict[str, tuple[str | None, bool]]:
    """Each with whether it passes."""
    scheme, _, rest = own.partition("://")
    host, _, port = rest.partition(":")
    return {
        "none": (None, True),
        "same": (own, True),
        "other host": (f"{scheme}://evil.example:{port}", False),
        "other port": (f"{scheme}://{host}:{int(port) + 1}", False),
        "no port": (f"{scheme}://{host}", False),
        "other scheme": (f"https://{rest}", False),
        "null": ("null", False),
        "with a path": (f"{own}/", False),
        "as a user": (f"{scheme}://{rest}@evil.example", False),
    }


def list_calls(bench: Bench, agent: BenchAgent) -> Iterator[CrossOriginCall]:
    room, row = f"/api/connections/{bench.connection_id}", "/rest/v1/notes?id=eq.1"
    data = f"/api/v/{bench.connection_id}"
    whole = {"id": 1, "body": "taken"}
    yield CrossOriginCall(bench.person, "POST", f"{room}/agents", {"name": "Intruder", "access": "write"})
    yield CrossOriginCall(bench.person, "PATCH", room, {"name": "taken"})
    yield CrossOriginCall(bench.person, "POST", f"{data}/rest/v1/notes", {"id": 2, "body": "taken"})
    yield CrossOriginCall(bench.person, "PUT", f"{data}{row}", whole)
    yield CrossOriginCall(bench.person, "DELETE", f"{data}{row}", None)
    yield CrossOriginCall(bench.person, "DELETE", room, None)
    yield CrossOriginCall(agent.api, "POST", "/rest/v1/notes", {"id": 2, "body": "taken"})
    yield CrossOriginCall(agent.api, "PUT", row, whole)
    yield CrossOriginCall(agent.api, "PATCH", row, {"body": "taken"})
    yield CrossOriginCall(agent.api, "DELETE", row, None)


async def send(call: CrossOriginCall, origin: str | None) -> httpx.Response:
    headers = {} if origin is None else {"origin": origin}
    return await call.by.request(call.method, call.path, json=call.body, headers=headers)


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(
        "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'mine');"
    )


async def read_state(bench: Bench) -> tuple[Any, ...]:
    """All that the calls could change."""
    room = (await bench.person.get(f"/api/connections/{bench.connection_id}")).json()
    agents = (await bench.person.get(f"/api/connections/{bench.connection_id}/agents")).json()["agents"]
    return (
        room["name"],
        [agent["name"] for agent in agents],
        await bench.rows("SELECT * FROM notes"),
        await bench.sessions(),
    )


async def test_a_foreign_origin_changes_nothing_by_any_method_for_anybody(bench: Bench) -> None:
    agent = await bench.agent()
    before = await read_state(bench)
    tried = 0
    for name, (origin, passes) in list_origins(bench.product.settings.origin).items():
        for call in () if passes else list_calls(bench, agent):
            answer = await send(call, origin)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (name, call.method, call.path)
            assert answer.headers["x-request-id"]
            tried += 1
    assert tried == 70
    assert await read_state(bench) == before


@pytest.mark.parametrize("name", ["none", "same"])
async def test_no_origin_and_our_own_pass(bench: Bench, name: str) -> None:
    agent = await bench.agent()
    origin, passes = list_origins(bench.product.settings.origin)[name]
    assert passes
    for call in list_calls(bench, agent):
        if call.by is agent.api:
            continue
        answer = await send(call, origin)
        assert answer.status_code < 300, (call.method, call.path, answer.text)
    assert (await bench.person.get(f"/api/connections/{bench.connection_id}")).status_code == 404


@pytest.mark.parametrize("name", ["none", "same"])
async def test_an_agents_writes_pass_as_well(bench: Bench, name: str) -> None:
    agent = await bench.agent()
    origin, _ = list_origins(bench.product.settings.origin)[name]
    for call in list_calls(bench, agent):
        if call.by is agent.api:
            answer = await send(call, origin)
            assert answer.status_code < 300, (call.method, call.path, answer.text)
    assert await bench.rows("SELECT * FROM notes") == [{"id": 2, "body": "taken"}]


async def test_a_bad_credential_does_not_get_round_the_rule(bench: Bench) -> None:
    """403 comes before anybody asks who calls."""
    async with httpx.AsyncClient(base_url=bench.product.settings.origin, trust_env=False) as visitor:
        for headers in ({}, {"authorization": "Bearer bad"}, {"cookie": f"{COOKIE}=bad"}):
            path = f"/api/v/{bench.connection_id}/rest/v1/notes?id=eq.1"
            answer = await visitor.delete(path, headers={**headers, "origin": "null"})
            assert answer.status_code == 403
            assert (await visitor.delete(path, headers=headers)).status_code == 401


async def test_two_origins_at_once_are_refused(bench: Bench) -> None:
    own = bench.product.settings.origin
    for pair in ((own, "https://evil.example"), ("https://evil.example", own)):
        headers = [*bench.person.headers.multi_items(), *(("origin", one) for one in pair)]
        answer = await bench.person.request(
            "PATCH", f"/api/connections/{bench.connection_id}", json={"name": "x"}, headers=headers
        )
        assert answer.status_code == 403
