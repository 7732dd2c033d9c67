"""Where scripts run: one project database and the connection to it, read before and after each script."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.attacks.corpus import AgentProfile, AttackScript
from tests.fakes.supabase import Supabase
from tests.fixtures.app import PASSWORD, ServedProduct
from tests.fixtures.bench import Backend, Bench, BenchAgent, Row, Workshop
from tests.fixtures.postgres import PostgresServer

_FOLDER = Path(__file__).parent
_SCHEMA = (_FOLDER / "shop.sql").read_text()
_ROWS = (_FOLDER / "rows.sql").read_text()
_TABLES = (
    *(
        "vault_keys",
        "customers",
        "orders",
        "lines",
        "parcels",
        "holds",
        "remarks",
        "staff",
        "tickets",
        "ticket_log",
        "letters",
        "counters",
    ),
    *('"Odd, name"', "private.payroll", "private.orders"),
)
_READ_ALL = " UNION ALL ".join(
    (
        *(f"SELECT '{table}' AS place, t::text AS held FROM {table} t" for table in _TABLES),
        "SELECT 'large objects', oid::text FROM pg_largeobject_metadata",
        "SELECT 'relations', oid::regclass::text FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_'",
        "SELECT 'functions', oid::regprocedure::text FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^pg_'",
    )
)
_RECORDED = """
    SELECT m.table_name, count(*) AS changes FROM journal_mutations m JOIN journal_writes w ON w.id = m.write_id
    JOIN journal_sessions s ON s.id = w.session_id WHERE s.agent_id = %s AND w.state <> 'aborted' GROUP BY 1
"""
_DEPTH = 1500
"""Of a JSON value that PostgreSQL reads and most decoders do not."""
ProjectRows = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class AttackBench:
    """`neighbour` is another agent of the connection, `other` one of another person's, `stranger`; `own` is our database."""

    bench: Bench
    neighbour: BenchAgent
    other: BenchAgent
    stranger: httpx.AsyncClient
    client: httpx.AsyncClient
    own: psycopg.AsyncConnection[Row] = field(repr=False)

    async def make_agent(self, script: AttackScript, profile: AgentProfile) -> BenchAgent:
        """The scripts of a slow run take longer than a sign-in is recent, and a new agent needs a recent one."""
        confirmed = await self.bench.person.post("/api/account/reauth", json={"password": PASSWORD})
        assert confirmed.is_success, confirmed.text
        return await self.bench.agent(**{**profile.policy, **script.policy})

    async def read_rows(self) -> ProjectRows:
        return frozenset((row["place"], row["held"]) for row in await self.bench.rows(_READ_ALL))

    async def restore(self) -> None:
        await self.bench.run(_ROWS)

    async def count_recorded(self, agent: BenchAgent) -> dict[str, int]:
        found = await self.own.execute(_RECORDED, (agent.id,))
        return {row["table_name"]: row["changes"] for row in await found.fetchall()}

    def make_names(self, agent: BenchAgent) -> dict[str, str]:
        """What scripts may name in braces, and `{session}`."""
        return {
            "connection": self.bench.connection_id,
            "agent": agent.id,
            "token": agent.token,
            "cookie": _format_cookies(self.bench.person),
            "neighbour_token": self.neighbour.token,
            "other_connection": self.other.bench.connection_id,
            "other_agent": self.other.id,
            "other_token": self.other.token,
            "other_cookie": _format_cookies(self.stranger),
            "deep": f"{'[' * _DEPTH}{']' * _DEPTH}",
        }


FindAttackBench = Callable[[Backend], Awaitable[AttackBench]]


def _format_cookies(person: httpx.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in person.cookies.items())


@asynccontextmanager
async def open_attack_bench(
    postgres: PostgresServer, product: ServedProduct, supabase: Supabase, backend: Backend
) -> AsyncIterator[AttackBench]:
    async with AsyncExitStack() as stack:
        people = [await product.sign_up(f"{uuid4().hex}@example.com") for _ in range(2)]
        workshops = [Workshop(postgres, product, person, supabase, backend) for person in people]
        for workshop in workshops:
            stack.push_async_callback(workshop.close)
        bench = await workshops[0].bench(_SCHEMA)
        await bench.run(_ROWS)
        other = await (await workshops[1].bench("CREATE TABLE orders (id int PRIMARY KEY, note text)")).agent()
        dsn = product.settings.database_url.reveal()
        own = await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
        await stack.enter_async_context(own)
        guard = {
            "mode": "block",
            "tables": {"tickets": "public"},
            "strangers": "hold",
            "writers": {"letters": "strangers"},
        }
        assert (await people[0].put(f"/api/connections/{bench.connection_id}/guard", json=guard)).is_success
        yield AttackBench(bench, await bench.agent(), other, people[1], await product.client(), own)


def count_changed(before: ProjectRows, after: ProjectRows) -> dict[str, int]:
    """The rows that differ, by table; one that was updated is one."""
    places = {place for place, _ in before ^ after}
    return {place: max(_count(before - after, place), _count(after - before, place)) for place in places}


def _count(rows: ProjectRows, wanted: str) -> int:
    return sum(place == wanted for place, _ in rows)


def fill(value: Any, names: dict[str, str]) -> Any:
    """Puts what scripts name in braces into every text of a value."""
    if isinstance(value, dict):
        return {key: fill(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill(one, names) for one in value)
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(f"{{{name}}}", text)
    return value
