"""Sends ten thousand deliveries of the payment provider under the worst conditions: `python scripts/deliveries.py`.

Several arrive at once, in any order, some twice, with the state of any moment since their event. Applying sometimes
fails by a trigger in the database, database sessions are terminated, and the serving process is killed with SIGKILL and
started again. At the end, the stored rows must be exactly the provider's, with each receipt once.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from basewarden.core.secret import Secret
from basewarden.db.embedded import start_embedded
from basewarden.db.migrations.migrate import migrate
from tests.chaos.serving import Deployment, Serving
from tests.fakes.dodo import WEBHOOK_SECRET, WEBHOOK_URL, DodoWorld, Event
from tests.fixtures.ports import reserve_port
from tests.fixtures.postgres import UNSAFE_BUT_FAST

PEOPLE = 20
SENDERS = 12
REORDERED = 40  # so many wait for each other, and come in any order
_FAULTS = """
    CREATE FUNCTION storm() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF random() < 0.06 THEN RAISE EXCEPTION 'storm'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER storm BEFORE INSERT OR UPDATE ON billing_subscriptions FOR EACH ROW EXECUTE FUNCTION storm();
    CREATE TRIGGER storm BEFORE INSERT OR UPDATE ON billing_payments FOR EACH ROW EXECUTE FUNCTION storm();
    CREATE TRIGGER storm AFTER UPDATE OF applied_at ON billing_event FOR EACH ROW EXECUTE FUNCTION storm();
"""
_CALM = """
    DROP TRIGGER IF EXISTS storm ON billing_subscriptions;
    DROP TRIGGER IF EXISTS storm ON billing_payments;
    DROP TRIGGER IF EXISTS storm ON billing_event;
"""
_CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'basewarden' ORDER BY random() LIMIT 3"
)
_STATUSES = ("pending", "active", "on_hold", "paused", "cancelled", "failed", "expired", "past_due", "a new word")
Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True)
class DeliveryReport:
    """`wrong` lists the differences from the provider; empty is good."""

    sent: int
    answers: Counter[str]
    kills: int
    events: int
    wrong: list[str] = field(default_factory=list)


class Storm:
    """The payment provider, sending under the worst conditions."""

    def __init__(
        self,
        deployment: Deployment,
        connection: Connection,
        people: list[UUID],
        seed: int,
        progress: Callable[[str], None],
    ) -> None:
        self._progress = progress
        self._deployment = deployment
        self._connection = connection
        self._people = people
        self._dice = random.Random(seed)  # noqa: S311 - chance, not a secret
        self._world = DodoWorld()
        self._history: dict[str, list[dict[str, Any]]] = {}
        self._first: dict[str, int] = {}
        self._waiting: list[Event] = []
        self._answers: Counter[str] = Counter()
        self._sent = 0
        self._kills = 0
        self._serving: Serving | None = None
        self._up = asyncio.Event()
        self._is_calm = False

    async def run(self, deliveries: int, kills: int) -> DeliveryReport:
        self._serving = await Serving.start(self._deployment)
        self._up.set()
        try:
            await self._connection.execute(_FAULTS.encode())
            await self._rage(deliveries, kills)
            await self._connection.execute(_CALM.encode())
            self._is_calm = True
            await self._send_all(lambda: not self._waiting)
        finally:
            await self._serving.stop()
        wrong = await find_differences(self._connection, self._world)
        return DeliveryReport(self._sent, self._answers, self._kills, len(self._world.events), wrong)

    async def _rage(self, deliveries: int, kills: int) -> None:
        killing = asyncio.create_task(self._kill_now_and_then(deliveries, kills))
        await self._send_all(lambda: self._sent >= deliveries and killing.done())
        await killing

    async def _send_all(self, is_over: Callable[[], bool]) -> None:
        async with httpx.AsyncClient(base_url=self._deployment.origin, trust_env=False, timeout=30) as http:
            senders = [self._send_some(http, is_over) for _ in range(SENDERS)]
            await asyncio.gather(*senders)

    async def _send_some(self, http: httpx.AsyncClient, is_over: Callable[[], bool]) -> None:
        while not is_over():
            await self._up.wait()
            if self._is_calm and not self._waiting:
                return
            event = self._pick()
            text = self._dice.choice(self._history[event.object_id][self._first[event.id] :])
            delivered = self._world.deliver(event, text)
            if not await self._try(http, delivered.body, delivered.headers):
                self._waiting.append(event)
                await asyncio.sleep(0.01)
            elif self._dice.random() < 0.3:
                await self._try(http, delivered.body, delivered.headers)  # it had not heard the answer

    async def _try(self, http: httpx.AsyncClient, body: bytes, headers: dict[str, str]) -> bool:
        self._sent += 1
        if self._sent % 500 == 0:
            self._progress(f"{self._sent:,} sent, {len(self._world.events):,} events, {self._kills} kills")
        try:
            answer = await http.post(WEBHOOK_URL, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._answers[type(error).__name__] += 1
            return False
        answered = answer.json()
        self._answers[f"{answer.status_code} {answered.get('outcome') or answered.get('code')}"] += 1
        if answer.status_code < 500 and not answer.is_success:
            raise RuntimeError(f"refused: {answer.text}")
        return answer.is_success

    def _pick(self) -> Event:
        """Takes one of the waiting deliveries; new events keep happening until the last phase."""
        while len(self._waiting) < REORDERED and not self._is_calm:
            self._happen()
        return self._waiting.pop(self._dice.randrange(len(self._waiting)))

    def _happen(self) -> None:
        world, dice = self._world, self._dice
        subscriptions = [key for key in world.objects if key.startswith("sub_")]
        payments = [key for key in world.objects if key.startswith("pay_")]
        kind = dice.choices(("subscribe", "change", "pay", "settle", "refund", "dispute"), (1, 6, 3, 3, 1, 1))[0]
        if kind == "subscribe" or not subscriptions:
            person = dice.choice([*self._people, None])
            event = world.subscribe(person, email=f"{person}@example.com", status=dice.choice(_STATUSES))
        elif kind == "change" or (kind != "pay" and not payments):
            status = dice.choice(_STATUSES)
            event = world.change(
                dice.choice(subscriptions),
                f"subscription.{status}",
                status=status,
                trial_period_days=dice.randrange(30),
            )
        elif kind == "pay":
            event = world.pay(dice.choice(subscriptions), dice.choice(("succeeded", "failed", "processing")))
        elif kind == "settle":
            status = dice.choice(("succeeded", "failed", "cancelled"))
            event = world.change(dice.choice(payments), f"payment.{status}", status=status)
        else:
            event = world.refund(dice.choice(payments)) if kind == "refund" else world.dispute(dice.choice(payments))
        history = self._history.setdefault(event.object_id, [])
        history.append(world.objects[event.object_id])
        self._first[event.id] = len(history) - 1
        self._waiting.append(event)

    async def _kill_now_and_then(self, deliveries: int, kills: int) -> None:
        """Kills while deliveries are in progress: between receipt and effect, among other moments."""
        assert self._serving is not None
        for number in range(1, kills + 1):
            while self._sent < number * deliveries // (kills + 1):
                await asyncio.sleep(0.02)
                if self._dice.random() < 0.02:
                    await self._connection.execute(_CUT.encode())
            await self._serving.kill()
            self._up.clear()  # a provider would wait for minutes, too
            self._kills += 1
            self._serving = await Serving.start(self._deployment)
            self._up.set()


async def find_differences(connection: Connection, world: DodoWorld) -> list[str]:
    """Lists the differences between the stored rows and the provider's."""
    wrong = []
    receipts = await _read(connection, "SELECT webhook_id, applied_at, error FROM billing_event")
    counts = Counter(row["webhook_id"] for row in receipts)
    if sorted(counts) != sorted(event.id for event in world.events) or set(counts.values()) != {1}:
        wrong.append(f"{len(receipts)} receipts of {len(world.events)} events")
    wrong += [f"not applied: {row}" for row in receipts if row["applied_at"] is None or row["error"] is not None]
    stored = {
        **await _index(
            connection, "SELECT subscription_id AS id, status, user_id, trial_days FROM billing_subscriptions"
        ),
        **await _index(connection, "SELECT id, status, user_id, amount FROM billing_payments"),
    }
    expected = {key: _expect(key, state) for key, state in world.objects.items()}
    wrong += [
        f"{key}: stored {stored.get(key)}, expected {expected.get(key)}"
        for key in sorted({*stored, *expected})
        if stored.get(key) != expected.get(key)
    ]
    return wrong


def _expect(key: str, state: dict[str, Any]) -> dict[str, Any]:
    named = (state.get("metadata") or {}).get("user_id")
    common: dict[str, Any] = {"id": key, "user_id": UUID(named) if named else None}
    if key.startswith("sub_"):
        return {**common, "status": state["status"], "trial_days": state["trial_period_days"]}
    status = state.get("status") or state["dispute_status"].removeprefix("dispute_")
    return {**common, "status": status, "amount": int(state.get("total_amount") or state["amount"])}


async def _index(connection: Connection, query: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in await _read(connection, query)}


async def _read(connection: Connection, query: str) -> list[dict[str, Any]]:
    return await (await connection.execute(query.encode())).fetchall()


async def run_storm(
    database_url: str, *, deliveries: int, kills: int, seed: int, progress: Callable[[str], None] = lambda _: None
) -> DeliveryReport:
    """Runs the deliveries on a migrated database of its own."""
    port = reserve_port()
    deployment = Billed(database_url=database_url, port=port)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        people = [uuid4() for _ in range(PEOPLE)]
        for person in people:
            query = "INSERT INTO users (id, email, email_key) VALUES (%s, %s, %s)"
            await connection.execute(query, (person, f"{person}@example.com", f"{person}@example.com"))
        return await Storm(deployment, connection, people, seed, progress).run(deliveries, kills)


class Billed(Deployment):
    """The settings of the product, with a webhook secret."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "DODO_WEBHOOK_SECRET": WEBHOOK_SECRET, "BASEWARDEN_LOG_LEVEL": "error"}


async def main(folder: Path) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    server = await start_embedded(folder / "data", progress=lambda _: None, options=UNSAFE_BUT_FAST)
    try:
        await server.create_database("deliveries")
        await asyncio.to_thread(migrate, Secret(server.dsn("deliveries")))
        report = await run_storm(
            server.dsn("deliveries"), deliveries=asked.deliveries, kills=asked.kills, seed=asked.seed, progress=print
        )
    finally:
        await server.stop()
    print(f"{report.sent:,} deliveries of {report.events:,} events, {report.kills} kills")
    for answer, count in report.answers.most_common():
        print(f"  {count:6,}  {answer}")
    print("\n".join(report.wrong) or "What is stored is what the provider knows; each receipt is there once.")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    data = Path(tempfile.mkdtemp(prefix="basewarden-"))
    data.chmod(0o711)  # the server's own user has to get through
    try:
        sys.exit(asyncio.run(main(data)))
    finally:
        shutil.rmtree(data)
