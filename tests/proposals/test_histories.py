"""Random histories of proposals, edits by others and approvals: no approval writes over a changed row, none runs twice,
and each that runs is in the journal.

`PROPOSAL_HISTORIES=1000` runs more of them.
"""

import asyncio
import json
import os
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.fixtures.bench import Row
from tests.fixtures.sql import run_sql
from tests.proposals.shop import ProposalShop

HISTORIES = int(os.environ.get("PROPOSAL_HISTORIES", "60"))
SEED = int(os.environ.get("PROPOSAL_SEED", "20261128"))
STEPS = 8
STATES = ("new", "paid", "sent")
TABLES = ("customers", "orders", "log")
DUMP = "SELECT " + ", ".join(
    f"(SELECT coalesce(json_agg(to_jsonb(t) ORDER BY id, t::text), '[]') FROM {table} AS t) AS {table}"
    for table in TABLES
)
Rows = dict[str, list[Row]]


@dataclass
class History:
    """`pending` are the proposals that wait, with all rows as they were when each was proposed."""

    shop: ProposalShop
    dice: random.Random
    pending: dict[str, Rows] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    refused: int = 0

    async def dump(self) -> Rows:
        (row,) = await self.shop.bench.rows(DUMP)
        return row

    def choose_write(self) -> tuple[str, str, Any, str]:
        dice = self.dice
        customer, order, state = dice.randint(1, 3), dice.randint(10, 13), dice.choice(STATES)
        return dice.choice(
            [
                ("PATCH", f"/orders?status=eq.{state}", {"total": dice.randint(1, 9)}, ""),
                ("PATCH", f"/orders?id=in.({order},{order + 1})", {"status": state}, ""),
                ("PATCH", f"/orders?customer_id=eq.{customer}", {"total": dice.randint(1, 9), "status": state}, ""),
                ("DELETE", f"/orders?id=eq.{order}", None, ""),
                ("DELETE", f"/customers?id=eq.{customer}", None, ""),
                ("POST", "/orders", {"customer_id": customer, "status": state}, "return=representation"),
                ("POST", "/orders", [{"id": order + n, "customer_id": customer} for n in range(3)], ""),
                (
                    "POST",
                    "/customers",
                    [{"id": n, "name": state} for n in (customer, 5)],
                    "resolution=merge-duplicates",
                ),
                ("POST", "/rpc/add_log", {"what": uuid4().hex}, ""),
            ]
        )

    def choose_edit(self) -> str:
        dice = self.dice
        customer, order, state = dice.randint(1, 3), dice.randint(10, 13), dice.choice(STATES)
        there = f"(SELECT 1 FROM customers WHERE id = {customer})"
        new_order = f"INSERT INTO orders (id, customer_id) SELECT {order}, {customer} WHERE EXISTS {there}"
        return dice.choice(
            [
                f"UPDATE orders SET total = {dice.randint(1, 9)} WHERE id = {order}",
                f"UPDATE orders SET status = '{state}' WHERE id = {order}",
                f"DELETE FROM orders WHERE id = {order}",
                f"{new_order} ON CONFLICT DO NOTHING",
                f"UPDATE customers SET vip = NOT vip WHERE id = {customer}",
                f"INSERT INTO customers VALUES ({customer}, 'New') ON CONFLICT DO NOTHING",
                f"DELETE FROM customers WHERE id = {customer}",
            ]
        )

    async def propose(self) -> None:
        method, path, body, prefer = self.choose_write()
        before = await self.dump()
        answer = await self.shop.try_write(method, path, body, prefer=prefer)
        assert await self.dump() == before
        if answer.status_code == 403:
            proposal = answer.json()["details"]["proposalId"]
            if await self.is_pending(proposal):
                self.pending[proposal] = before
        else:
            assert answer.json()["code"] in ("nothing_proposed", "23503", "23505"), answer.text

    async def is_pending(self, proposal: str) -> bool:
        """One that was proposed again on other rows waits no more."""
        listed = await self.shop.bench.person.get(
            self.shop.path, params={"status": "pending", "agent": self.shop.agent.id}
        )
        waiting = {one["id"] for one in listed.json()["proposals"]}
        self.pending = {known: rows for known, rows in self.pending.items() if known in waiting}
        return proposal in waiting

    async def approve_alone(self) -> None:
        """What is as it was when it was proposed is run; and what is run does just what was shown."""
        proposal, then = self.take()
        before = await self.dump()
        answer = await self.shop.approve(proposal)
        after = await self.dump()
        if answer.status_code != 200:
            assert before == after
            assert before != then or answer.json()["code"] == "proposal_failed", answer.text
            assert answer.json()["code"] in ("proposal_stale", "proposal_failed"), answer.text
            self.refused += 1
            return
        shown = await self.check_recorded(proposal, answer.json()["sessionId"])
        assert strip(after) == strip(apply_changes(before, shown)), shown

    async def approve_in_a_race(self) -> None:
        """Twice at once, while another client edits."""
        proposal, _ = self.take()
        edit = self.choose_edit()
        first, second, _ = await asyncio.gather(
            self.shop.approve(proposal), self.shop.approve(proposal), self.shop.bench.run(edit)
        )
        statuses = sorted([first.status_code, second.status_code])
        assert statuses in ([200, 409], [409, 409]), (first.text, second.text)
        self.refused += statuses[0] == 409
        if statuses[0] == 200:
            done = first if first.status_code == 200 else second
            await self.check_recorded(proposal, done.json()["sessionId"])

    def take(self) -> tuple[str, Rows]:
        proposal = self.dice.choice(list(self.pending))
        return proposal, self.pending.pop(proposal)

    async def check_recorded(self, proposal: str, session_id: str) -> Row:
        """The journal has it once, on the rows that were shown: it reads them under the locks of the write."""
        shown = await self.shop.read(proposal)
        database = self.shop.bench.product.settings.database_url.reveal()
        found = await run_sql(
            database,
            "SELECT w.state, m.table_name, m.verb, m.before_exact::text FROM proposals AS p JOIN journal_writes AS w"
            f" ON w.id = p.write_id AND w.session_id = '{session_id}' LEFT JOIN journal_mutations AS m"
            f" ON m.write_id = w.id WHERE p.id = '{proposal}' AND p.status = 'executed' ORDER BY m.position",
        )
        assert {state for state, *_ in found} == {"committed"}
        recorded = [(table, verb, before) for _, table, verb, before in found if table is not None]
        assert len(recorded) == len(shown["changes"])
        for (table, verb, before), change in zip(recorded, shown["changes"], strict=True):
            assert (table, verb, read_json(before)) == (change["table"], change["verb"], change["beforeExact"])
        again = await self.shop.approve(proposal)
        assert (again.status_code, again.json()["code"]) == (409, "proposal_decided")
        self.executed.append(proposal)
        return shown

    async def run(self) -> None:
        for _ in range(STEPS):
            step = self.dice.random()
            if not self.pending or step < 0.3:
                await self.propose()
            elif step < 0.6:
                for _ in range(self.dice.randint(1, 2)):
                    await self.shop.bench.run(self.choose_edit())
            elif step < 0.85:
                await self.approve_alone()
            else:
                await self.approve_in_a_race()


def read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def apply_changes(rows: Rows, shown: Row) -> Rows:
    """All rows after the changes that were shown, and a row of the log for a call."""
    after = {table: list(found) for table, found in rows.items()}
    for change in shown["changes"]:
        if change["before"] is not None:
            after[change["table"]].remove(change["before"])
        if change["after"] is not None:
            after[change["table"]].append(change["after"])
    if shown["verb"] == "call":
        after["log"].append({"what": read_json(shown["request"]["body"])["what"]})
    return after


def strip(rows: Rows) -> dict[str, list[str]]:
    """Without what the database makes new at each run."""
    orders = [{**row, "updated_at": None, "id": row["id"] if row["id"] < 100 else None} for row in rows["orders"]]
    return {
        "customers": sorted(map(_write, rows["customers"])),
        "orders": sorted(map(_write, orders)),
        "log": sorted(row["what"] for row in rows["log"]),
    }


def _write(row: Row) -> str:
    return json.dumps(row, sort_keys=True)


async def test_random_histories(shop: ProposalShop) -> None:
    agent = await shop.bench.agent(access="propose", name="Dice", maxWritesPerSession=10**6)
    executed = refused = 0
    await shop.bench.run("SET timezone = 'UTC'")
    for number in range(HISTORIES):
        await shop.bench.run(
            "TRUNCATE customers, orders, log RESTART IDENTITY; ALTER SEQUENCE orders_id_seq RESTART 100;"
            "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cy');"
            "INSERT INTO orders (id, customer_id, status) SELECT n, n % 3 + 1, (ARRAY['new', 'paid', 'sent'])[n % 3 + 1]"
            " FROM generate_series(10, 12) AS n"
        )
        history = History(ProposalShop(shop.bench, agent), random.Random(SEED + number))
        try:
            await history.run()
        except AssertionError as error:
            raise AssertionError(f"history {number} of seed {SEED}") from error
        executed, refused = executed + len(history.executed), refused + history.refused
        await run_sql(
            shop.bench.product.settings.database_url.reveal(), f"DELETE FROM proposals WHERE agent_id = '{agent.id}'"
        )
    print(f"{HISTORIES} histories: {executed} executed, {refused} refused")
    assert executed > HISTORIES / 2, "too few are run for this to show anything"
    assert refused > HISTORIES / 4
