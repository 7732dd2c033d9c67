"""A receiver of messages, and alerts that send to it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from basewarden.billing.webhooks import Headers, read_keys, verify_delivery
from basewarden.core.secret import Secret
from basewarden.journal import RefusalLog
from tests.fakes.hostile import Heard, HostileServer, always, make_answer, serve_hostile
from tests.fixtures.bench import Bench
from tests.fixtures.waiting import wait_until

ALL_EVENTS = (
    "session_frozen",
    "write_refused",
    "undo_finished",
    "proposal_created",
    "finding_critical",
    "finding_warning",
    "schema_changed",
)
THANKS = make_answer(200, b"thanks", "text/plain")
NOTES = "CREATE TABLE notes (id int PRIMARY KEY, body text)"


@pytest.fixture
async def receiver() -> AsyncIterator[HostileServer]:
    """Accepts everything; `behave` changes that."""
    async with serve_hostile(always(THANKS)) as server:
        yield server


@dataclass(frozen=True)
class BenchAlert:
    """An alert of a bench's connection; `secret` signs its messages."""

    bench: Bench
    id: str
    secret: str

    @property
    def path(self) -> str:
        return f"/api/connections/{self.bench.connection_id}/alerts/{self.id}"

    async def read(self) -> dict[str, Any]:
        answer = await self.bench.person.get(self.path.rpartition("/")[0])
        found: dict[str, Any] = next(one for one in answer.json()["alerts"] if one["id"] == self.id)
        return found

    async def messages(self) -> list[dict[str, Any]]:
        answer = await self.bench.person.get(f"{self.path}/deliveries")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["deliveries"]
        return found

    async def wait(self, **wanted: Any) -> dict[str, Any]:
        """Waits until the newest message has these members."""

        async def look() -> dict[str, Any] | None:
            newest = next(iter(await self.messages()), None)
            return newest if newest is not None and wanted.items() <= newest.items() else None

        found: dict[str, Any] | None = await wait_until(look, f"a message with {wanted}")
        assert found is not None
        return found

    async def test(self) -> dict[str, Any]:
        answer = await self.bench.person.post(f"{self.path}/test")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def create(bench: Bench, **wanted: Any) -> httpx.Response:
    body = {"channel": "webhook", "events": list(ALL_EVENTS), **wanted}
    return await bench.person.post(f"/api/connections/{bench.connection_id}/alerts", json=body)


async def add_alert(bench: Bench, receiver: HostileServer, path: str = "/hook", **wanted: Any) -> BenchAlert:
    answer = await create(bench, target=f"{receiver.url}{path}", **wanted)
    assert answer.status_code == 201, answer.text
    return BenchAlert(bench, answer.json()["id"], answer.json()["secret"] or "")


async def receive(receiver: HostileServer, count: int = 1) -> list[dict[str, Any]]:
    """The bodies of the first messages, once there are so many."""
    await wait_until(lambda: len(receiver.heard) >= count, f"{count} messages")
    return [json.loads(one.body) for one in receiver.heard[:count]]


def check_signature(heard: Heard, *secrets: str) -> str:
    """Verifies a message as a receiver does, and returns its id."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = Headers(*([heard.headers[name]] for name in names))
    return verify_delivery(headers, heard.body, read_keys(Secret(" ".join(secrets))), datetime.now(UTC)).id


async def block(bench: Bench, times: int = 1) -> None:
    """Lets an agent be refused, and stores that."""
    agent = await bench.agent(name="Reader", access="read")
    for number in range(times):
        assert (await agent.http.post("/notes", json={"id": number})).status_code == 403
    await bench.product.registry.get(RefusalLog).flush()
