"""A migrated database with an audit log, and a superuser's connection that bypasses the product."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from basewarden.audit import AccountEvent, Audit
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.errors import Conflict


@dataclass
class AuditDatabase:
    """`admin` is the database's superuser; `forge` is what only a superuser can do."""

    database: Database
    audit: Audit
    admin: psycopg.AsyncConnection[dict[str, Any]]

    async def record(self, *events: AccountEvent) -> None:
        for event in events:
            async with self.database.unit_of_work() as unit:
                await self.audit.record(unit, event)

    async def record_and_fail(self, event: AccountEvent) -> None:
        """As a request does that is refused after all."""
        async with self.database.unit_of_work() as unit:
            await self.audit.record(unit, event)
            raise Conflict

    async def rows(self, query: str = "SELECT * FROM audit_events ORDER BY id") -> list[dict[str, Any]]:
        return await (await self.admin.execute(query.encode())).fetchall()

    async def forge(self, statement: str) -> None:
        await self.admin.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
        await self.admin.execute(statement.encode())
        await self.admin.execute("ALTER TABLE audit_events ENABLE TRIGGER USER")


@pytest.fixture
async def audit_db(app_database: str) -> AsyncIterator[AuditDatabase]:
    database = Database(Secret(app_database), pool_size=20)
    async with await psycopg.AsyncConnection.connect(app_database, autocommit=True, row_factory=dict_row) as admin:
        yield AuditDatabase(database, Audit(database), admin)
    await database.close()
