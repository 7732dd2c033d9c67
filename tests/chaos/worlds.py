"""Two databases to work on, and what agents do there. Each agent keeps to rows of its own; its workers share them."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from basewarden.core.secret import Secret
from basewarden.demo.shop.load import create_shop

ROWS_OF_AN_AGENT = 40
AGENTS = 3

SMALL_SCHEMA = """
    CREATE TABLE clients (
        id bigint PRIMARY KEY, name text NOT NULL, balance numeric NOT NULL DEFAULT 0, tags jsonb,
        shout text GENERATED ALWAYS AS (upper(name)) STORED, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE orders (
        id bigint PRIMARY KEY, client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
        sponsor_id bigint REFERENCES clients ON DELETE SET NULL, total numeric NOT NULL);
    CREATE TABLE lines (
        order_id bigint REFERENCES orders ON DELETE CASCADE, line int, sku text, PRIMARY KEY (order_id, line));
    CREATE TABLE notes (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), client_id bigint REFERENCES clients ON DELETE SET NULL,
        body bytea);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
    CREATE TRIGGER stamp BEFORE UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION stamp();
    INSERT INTO clients (id, name, balance)
        SELECT id, 'client ' || id, id / 7.0 FROM generate_series(0, 119) AS id WHERE id % 3 <> 0;
    INSERT INTO orders SELECT id, id, NULL, id * 1.5 FROM clients;
    INSERT INTO lines SELECT id, line, 'sku' || line FROM orders, generate_series(1, 2) AS line;
    INSERT INTO notes (client_id, body) SELECT id, decode('00ff', 'hex') FROM clients;
"""


@dataclass(frozen=True)
class AgentCall:
    """One request of an agent; `path` follows `/rest/v1`."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ChaosWorld:
    """`fill(admin_dsn)` makes the tables and gives the address that the connection stores; `calls` draws a write."""

    name: str
    db_role: str | None
    fill: Callable[[str], Awaitable[str]]
    draw: Callable[[random.Random, int], AgentCall]


UPSERT = {"prefer": "resolution=merge-duplicates"}
REHEARSAL = {"prefer": "tx=rollback"}


async def fill_small(admin_dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(admin_dsn) as admin:
        await admin.execute(SMALL_SCHEMA)
    return admin_dsn


def draw_small(chance: random.Random, agent: int) -> AgentCall:
    def one() -> int:
        return agent * ROWS_OF_AN_AGENT + chance.randrange(ROWS_OF_AN_AGENT)

    def some() -> list[int]:
        return sorted({one() for _ in range(chance.randint(1, 5))})

    def client(number: int) -> dict[str, Any]:
        return {"id": number, "name": f"c{chance.random()}", "balance": chance.randrange(10**6) / 100, "tags": [number]}

    def order(number: int) -> dict[str, Any]:
        return {"id": number, "client_id": one(), "sponsor_id": one(), "total": chance.randrange(1000)}

    draws: list[Callable[[], AgentCall]] = [
        lambda: AgentCall("POST", "/clients", client(one())),
        lambda: AgentCall("POST", "/clients?on_conflict=id", [client(number) for number in some()], UPSERT),
        lambda: AgentCall("PATCH", f"/clients?id=in.({','.join(map(str, some()))})", {"balance": chance.randrange(99)}),
        lambda: AgentCall("PATCH", f"/clients?id=eq.{one()}", {"tags": {"n": chance.random()}}, REHEARSAL),
        lambda: AgentCall("DELETE", f"/clients?id=eq.{one()}"),
        lambda: AgentCall("POST", "/orders", order(one()), UPSERT),
        lambda: AgentCall("PATCH", f"/orders?client_id=eq.{one()}", {"total": chance.randrange(1000)}),
        lambda: AgentCall("DELETE", f"/orders?id=in.({','.join(map(str, some()))})"),
        lambda: AgentCall("POST", "/lines", [{"order_id": one(), "line": chance.randint(1, 9), "sku": "x"}], UPSERT),
        lambda: AgentCall("POST", "/notes", {"client_id": one(), "body": "\\xdeadbeef"}),
        lambda: AgentCall("DELETE", f"/notes?client_id=eq.{one()}"),
    ]
    return chance.choice(draws)()


# A deleted order or ticket sets null in tickets. Where those are another agent's, no order of whole sessions can
# take everything back: each has written over the other's rows. So a ticket names its own agent's order and ticket.
SHOP_TICKETS = """
    UPDATE tickets SET
        order_id = CASE WHEN order_id <= %(orders)s
            THEN 1 + (order_id - 1) / %(agents)s * %(agents)s + (id - 1) %% %(agents)s ELSE order_id END,
        duplicate_of = CASE WHEN id > %(agents)s AND (duplicate_of IS NOT NULL OR id %% 10 = 0)
            THEN id - %(agents)s END
"""
SHOP_ORDERS = 300


async def fill_shop(admin_dsn: str) -> str:
    """A small shop beside the test's own database, which stays empty."""
    database = f"shop_{admin_dsn.rpartition('/')[2]}"
    shop = await create_shop(admin_dsn, database=database, scale=0.1, password=Secret("chaos"), progress=_hush)
    async with await psycopg.AsyncConnection.connect(f"{admin_dsn.rpartition('/')[0]}/{database}") as admin:
        await admin.execute(SHOP_TICKETS, {"agents": AGENTS, "orders": SHOP_ORDERS})
    return shop.dsn.reveal()


def draw_shop(chance: random.Random, agent: int) -> AgentCall:
    def one(count: int) -> int:
        """A number that is this agent's own among the shop's first `count`."""
        return 1 + AGENTS * chance.randrange(count // AGENTS) + agent

    draws: list[Callable[[], AgentCall]] = [
        lambda: AgentCall("PATCH", f"/prices?product_id=eq.{one(60)}", {"amount": chance.randrange(9999) / 100}),
        lambda: AgentCall(
            "PATCH", f"/products?id=eq.{one(60)}", {"tags": ["new", str(chance.random())], "rating": "NaN"}
        ),
        lambda: AgentCall("PATCH", f"/stock?product_id=eq.{one(60)}", {"lead_time": f"{chance.randrange(90)} hours"}),
        lambda: AgentCall("PATCH", f"/orders?id=eq.{one(SHOP_ORDERS)}", {"gift_message": None, "shipping_fee": "0.00"}),
        lambda: AgentCall("DELETE", f"/orders?id=eq.{one(SHOP_ORDERS)}"),
        lambda: AgentCall("DELETE", f"/tickets?id=eq.{one(90)}"),
        lambda: AgentCall("PATCH", f"/order_items?order_id=eq.{one(SHOP_ORDERS)}", {"quantity": chance.randint(1, 9)}),
        lambda: AgentCall(
            "POST",
            "/coupons?on_conflict=code",
            {"code": f"A{one(30)}", "title": "chaos", "percent_off": 5, "valid": "[2026-01-01,2027-01-01)"},
            UPSERT,
        ),
        lambda: AgentCall("DELETE", f"/coupons?code=eq.A{one(30)}"),
    ]
    return chance.choice(draws)()


def _hush(_: str) -> None:
    """The shop tells its progress; a test needs none."""


SMALL = ChaosWorld("small", None, fill_small, draw_small)
SHOP = ChaosWorld("shop", "service_role", fill_shop, draw_shop)
