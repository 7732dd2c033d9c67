"""A connection with a hole, its finding, and what fixes and quarantines of it answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import httpx
import psycopg
from psycopg.types.json import Json

from basewarden.sentry.changes import outcomes, service
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.rule import ObjectType, ScannedObject
from basewarden.sentry.scans.fingerprints import make_fingerprint
from tests.fixtures.app import PASSWORD
from tests.fixtures.bench import OWNER, Bench, Workshop
from tests.fixtures.waiting import wait_until
from tests.sentry.access_shapes import DUMP, MAKE_ROLE, as_sets

TABLE = """
    CREATE TABLE people (id int PRIMARY KEY, email text);
    INSERT INTO people VALUES (1, 'ada@secret.example'), (2, 'bob@secret.example');
    GRANT SELECT, INSERT ON people TO anon;
    GRANT SELECT (email), UPDATE (email) ON people TO authenticated WITH GRANT OPTION;
    CREATE VIEW shown AS SELECT id FROM people;
    CREATE FUNCTION counts() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM people';
    CREATE SCHEMA storage; CREATE TABLE storage.buckets (id text PRIMARY KEY, name text, public boolean);
    CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text, name text);
    ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
    INSERT INTO storage.buckets VALUES ('it''s \\ "odd"', 'x', true);
"""
RLS_OFF = 'ALTER TABLE "public"."{}" ENABLE ROW LEVEL SECURITY;'


@dataclass(frozen=True)
class ChangeBench:
    shop: Bench
    finding: str

    def path(self, what: str = "", finding: str | None = None) -> str:
        return f"/api/connections/{self.shop.connection_id}/sentry/findings/{finding or self.finding}{what}"

    @property
    def changes(self) -> service.Changes:
        return self.shop.product.registry.get(service.Changes)

    @property
    def ids(self) -> tuple[UUID, str, service.Actor]:
        """What the service is asked with, past the routes."""
        return UUID(self.shop.connection_id), self.finding, (uuid4(), "Ada")

    async def fix(self, mode: str = "apply", client: httpx.AsyncClient | None = None) -> httpx.Response:
        return await (client or self.shop.person).post(self.path("/fix"), json={"mode": mode}, timeout=60)

    async def undo(self) -> httpx.Response:
        return await self.shop.person.delete(self.path("/fix"), timeout=60)

    async def quarantine(self, client: httpx.AsyncClient | None = None, **body: Any) -> httpx.Response:
        return await (client or self.shop.person).post(self.path("/quarantine"), json=body or None, timeout=60)

    async def release(self, query: str = "") -> httpx.Response:
        return await self.shop.person.delete(self.path(f"/quarantine{query}"), timeout=60)

    async def read(self) -> dict[str, Any]:
        answer = await self.shop.person.get(self.path())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def list_statuses(self) -> list[str]:
        """Of its changes, the oldest first."""
        found = await self.own(
            "SELECT status FROM sentry_changes WHERE connection_id = %s ORDER BY id", self.shop.connection_id
        )
        return [status for (status,) in found]

    async def forget_findings(self) -> None:
        await self.own("DELETE FROM sentry_findings WHERE connection_id = %s", self.shop.connection_id)

    async def read_kinds(self) -> list[str]:
        return [one["kind"] for one in (await self.read())["history"]]

    async def list_quarantined(self) -> list[str]:
        answer = await self.shop.person.get(f"/api/connections/{self.shop.connection_id}/sentry/quarantines")
        return [one["target"] for one in answer.json()["quarantines"]]

    async def dump(self) -> list[tuple[Any, ...]]:
        await self.shop.run("SET search_path = pg_catalog")
        rows = await self.shop.rows(DUMP)
        await self.shop.run("RESET search_path")
        return as_sets([tuple(row.values()) for row in rows])

    async def wait_settled(self) -> None:
        """Until it is known what became of every change."""
        rows = "SELECT 1 FROM sentry_changes WHERE status IN ('applying', 'undoing') AND connection_id = %s"

        async def look() -> list[tuple[Any, ...]]:
            await self.read()
            return await self.own(rows, self.shop.connection_id)

        await wait_until(look, "the changes", matches=lambda found: not found)

    async def own(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return await self.shop.query(statement, *values)


async def open_bench(workshop: Workshop, script: str = TABLE) -> ChangeBench:
    shop = await workshop.bench("")
    for role in ("anon", "authenticated"):
        await shop.run(MAKE_ROLE.format(role))
        await shop.run(f"GRANT {role} TO {OWNER}")
    async with await psycopg.AsyncConnection.connect(shop.dsn, autocommit=True) as owner:
        await owner.execute(script.encode())
    return ChangeBench(shop, await add_finding(shop, ScannedObject(ObjectType.TABLE, "public", "people")))


async def add_finding(
    shop: Bench, found: ScannedObject, rule: str = "rls_off", fix: str | None = RLS_OFF.format("people")
) -> str:
    """As a scan stores it, without waiting for one."""
    finding = str(uuid4())
    values = {
        "id": finding,
        "connection_id": shop.connection_id,
        "fingerprint": make_fingerprint(rule, found),
        "rule": rule,
        "severity": "info",
        "title": "A hole",
        "explanation": "It is open.",
        "object": Json(found._asdict()),
        "evidence": Json({"catalog": {}, "probes": [], "isEmpty": None}),
        "fix": fix,
    }
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    await shop.query(f"INSERT INTO sentry_findings ({names}) VALUES ({places}) RETURNING 1", *values.values())
    return finding


async def add_stale_member(shop: Bench, role: str) -> httpx.AsyncClient:
    """A member who signed in long ago."""
    member = await shop.member(role)
    email = (await member.get("/api/auth/session")).json()["user"]["email"]
    client = await shop.product.client()
    assert (await client.post("/api/auth/signin", json={"email": email, "password": PASSWORD})).status_code == 200
    await shop.query(
        "UPDATE signin_sessions SET authenticated_at = now() - interval '11 minutes'"
        " WHERE user_id = (SELECT id FROM users WHERE email = %s)",
        email,
    )
    return client


class Crash(RuntimeError):
    """The process ends here."""


@contextmanager
def crashing(step: str) -> Iterator[None]:
    """`before_commit`: our own database has it, the project's does not; `after_commit`: both do, but not what became."""

    async def crash(*_: object, **__: object) -> None:
        raise Crash

    target: Any = ChangeTransaction if step == "before_commit" else outcomes
    with patch.object(target, "commit" if step == "before_commit" else "finish_change", crash):
        yield
