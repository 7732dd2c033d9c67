"""Our database past everybody's back, and a person of whom every table holds something."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Json, Jsonb

from tests.fixtures.waiting import wait_until


@dataclass(frozen=True)
class Records:
    connection: psycopg.AsyncConnection[dict[str, Any]]

    async def run(self, query: str, *values: Any) -> None:
        await self.connection.execute(query.encode(), values)

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return await (await self.connection.execute(query.encode(), values)).fetchall()

    async def value(self, query: str, *values: Any) -> Any:
        (row,) = await self.rows(query, *values)
        return next(iter(row.values()))

    async def person_id(self, email: str) -> UUID:
        return UUID(str(await self.value("SELECT id FROM users WHERE email = %s", email)))

    async def age_signin(self, email: str) -> None:
        """As if they had signed in an hour ago; before their first request, for a process remembers them."""
        await self.run(
            "UPDATE signin_sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = %s",
            await self.person_id(email),
        )

    async def list_exporting(self, person_id: UUID) -> list[int]:
        """The server processes that hold one of this person's places for an export."""
        rows = await self.rows(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) IN"
            " (SELECT hashtextextended('export:' || %s || ':' || place, 0) FROM generate_series(0, 1) AS place)",
            str(person_id),
        )
        return [row["pid"] for row in rows]

    async def wait_until_not_exporting(self, person_id: UUID) -> None:
        await wait_until(
            lambda: self.list_exporting(person_id), "the export to end", matches=lambda found: not found, seconds=10
        )

    async def insert(self, table: str, **values: Any) -> None:
        """Names are this file's own."""
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        await self.run(f"INSERT INTO {table} ({names}) VALUES ({places})", *values.values())

    async def add_member(self, connection_id: UUID | str, person_id: UUID, role: str) -> None:
        await self.insert("connection_members", connection_id=connection_id, user_id=person_id, role=role)

    async def add_connection(self, name: str, owner_id: UUID) -> UUID:
        """An address that refuses connections."""
        connection_id = uuid4()
        await self.insert(
            "connections",
            id=connection_id,
            name=name,
            environment="other",
            sealed_postgres_url=f"sealed {name}".encode(),
            facts=Jsonb({"login_role": name, "server_version": "18", "roles": []}),
            created_by=owner_id,
        )
        await self.add_member(connection_id, owner_id, "owner")
        return connection_id

    async def add_agent(self, name: str, connection_id: UUID | str, maker_id: UUID | None) -> UUID:
        agent_id = uuid4()
        await self.insert(
            "agents",
            id=agent_id,
            connection_id=connection_id,
            name=name,
            token_hash=uuid4().bytes,
            token_hint=f"hint {name}",
            access="write",
            claims=Jsonb({"sub": name}),
            max_rows_per_write=1,
            max_writes_per_session=1,
            created_by=maker_id,
        )
        return agent_id

    async def add_invitation(self, email: str, connection_id: UUID | str, inviter_id: UUID) -> None:
        await self.insert(
            "connection_invitations",
            id=uuid4(),
            connection_id=connection_id,
            email=email,
            email_key=email,
            role="viewer",
            token_hash=uuid4().bytes,
            invited_by=inviter_id,
            expires_at="2099-01-01",
        )

    async def add_billing_rows(self, word: str, person_id: UUID) -> None:
        """A customer with a subscription, a payment, a checkout and a grant."""
        customer, now = f"cus_{word}", datetime.now(UTC)
        state = {"state_at": now, "state_sent_at": now, "state_digest": b"x"}
        await self.insert("billing_customers", customer_id=customer, user_id=person_id, **state)
        await self.insert(
            "billing_subscriptions",
            subscription_id=f"sub_{word}",
            customer_id=customer,
            user_id=person_id,
            product_id=word,
            status="active",
            started_at=now,
            trial_days=0,
            ends_at_period_end=False,
            **state,
        )
        await self.insert(
            "billing_payments",
            id=f"pay_{word}",
            kind="payment",
            payment_id=f"pay_{word}",
            customer_id=customer,
            user_id=person_id,
            status="succeeded",
            made_at=now,
            **state,
        )
        await self.insert(
            "billing_checkouts",
            session_id=f"cks_{word}",
            user_id=person_id,
            product_id=word,
            mode="test",
            url="https://checkout.example",
        )
        await self.insert("billing_grants", id=uuid4(), user_id=person_id, plan="team", until=now)

    async def add_session(
        self, word: str, connection_id: UUID | str, *, person_id: UUID | None = None, agent_id: UUID | None = None
    ) -> UUID:
        """A session with one write of one row, all of them saying `word`."""
        session_id, write_id = uuid4(), uuid4()
        kind, caller_id = ("agent", agent_id) if agent_id else ("member", person_id)
        await self.insert(
            "journal_sessions",
            id=session_id,
            connection_id=connection_id,
            caller_key=f"{kind}:{caller_id}",
            kind=kind,
            agent_id=agent_id,
            user_id=person_id,
            caller_name=word,
            label=f"{word} label",
        )
        await self.insert(
            "journal_writes",
            id=write_id,
            session_id=session_id,
            connection_id=connection_id,
            xid=1,
            state="committed",
            verb="update",
            schema_name="public",
            table_name="notes",
            mutation_count=1,
            tables=["public.notes"],
            summary=f"PATCH /notes?body=eq.{word}",
        )
        await self.insert("journal_mutations", **_make_mutation(word, write_id, session_id, connection_id))
        if agent_id is not None:
            await self._add_refusal(word, connection_id, agent_id, session_id)
        await self._add_intervention(word, connection_id, agent_id, person_id)
        return session_id

    async def _add_refusal(self, word: str, connection_id: UUID | str, agent_id: UUID, session_id: UUID) -> None:
        await self.insert(
            "journal_refusals",
            id=uuid4(),
            connection_id=connection_id,
            agent_id=agent_id,
            agent_name=word,
            session_id=session_id,
            hour=datetime.now(UTC),
            kind_key=word,
            code="row_limit",
            method="PATCH",
            table_name="public.notes",
            summary=f"PATCH /{word}",
        )

    async def add_proposal(
        self, word: str, connection_id: UUID | str, agent_id: UUID, person_id: UUID, *, decided: str | None = None
    ) -> None:
        """One that the person has declined, in their words; and the agent has read a sensitive column."""
        texts = dict.fromkeys(("query", "summary", "schema_name", "table_name"), word)
        numbers = {"row_count": 1, "reserve": 1, "is_computed": False}
        stored = {"change_counts": Json([]), "changes": Json([]), "uncaptured": Json([]), "headers": Json([])}
        await self.insert(
            "proposals",
            id=uuid4(),
            connection_id=connection_id,
            agent_id=agent_id,
            agent_name=word,
            expires_at=datetime.now(UTC),
            status="declined",
            method="PATCH",
            path="/notes",
            body=word.encode(),
            digest=word.encode(),
            verb="update",
            tables=["public.notes"],
            made=Json({}),
            decided_by=person_id,
            decided_name=decided or word,
            reason=decided or word,
            **texts,
            **numbers,
            **stored,
        )
        await self.insert("agent_reads", agent_id=agent_id, table_name="public.notes", column_name=word)

    async def add_finding(self, word: str, connection_id: UUID | str, person_id: UUID) -> None:
        """One of the sentry, of one scan, that the person has acknowledged in their words."""
        finding_id = uuid4()
        watched = "INSERT INTO sentry_watches (connection_id) VALUES (%s) ON CONFLICT DO NOTHING"
        await self.run(watched, connection_id)  # a job of each minute may have been first
        await self.insert("sentry_scans", id=uuid4(), connection_id=connection_id, status="done", failure=word)
        await self.insert(
            "sentry_findings",
            id=finding_id,
            connection_id=connection_id,
            severity="info",
            object=Json({}),
            evidence=Json({}),
            **dict.fromkeys(("fingerprint", "rule", "title", "explanation"), word),
        )
        await self.insert(
            "sentry_finding_events",
            id=uuid4(),
            finding_id=finding_id,
            kind="acknowledged",
            actor_id=person_id,
            actor_name=word,
            reason=word,
            sql=word,
        )
        await self.insert(
            "sentry_changes",
            id=uuid4(),
            connection_id=connection_id,
            finding_id=finding_id,
            status="undone",
            before=Json([]),
            after=Json([]),
            xid=1,
            actor_id=person_id,
            undone_by=person_id,
            **dict.fromkeys(("kind", "target", "sql", "inverse", "actor_name", "reason", "undone_by_name"), word),
        )

    async def add_schema_version(self, word: str, connection_id: UUID | str, person_id: UUID) -> None:
        """The person made it, and the schema could not be read since."""
        await self.insert("schema_heads", connection_id=connection_id, catalog=word, problem=word)
        await self.insert(
            "schema_versions",
            id=uuid4(),
            connection_id=connection_id,
            number=1,
            body=word.encode(),
            size=1,
            summary=Json([word]),
            cause="session",
            user_id=person_id,
            actor_name=word,
        )

    async def add_alert(self, word: str, connection_id: UUID | str, person_id: UUID) -> None:
        """A webhook with one message, whose receiver has answered with `word`."""
        alert_id = uuid4()
        await self.insert(
            "alerts",
            id=alert_id,
            connection_id=connection_id,
            channel="webhook",
            sealed_target=b"sealed",
            target_hint=f"{word}.example/",
            events=["undo_finished"],
            created_by=person_id,
        )
        await self.insert(
            "alert_deliveries",
            id=uuid4(),
            alert_id=alert_id,
            event="undo_finished",
            count=1,
            payload="{}",
            state="delivered",
            answer=word,
        )

    async def _add_intervention(
        self, word: str, connection_id: UUID | str, agent_id: UUID | None, person_id: UUID | None
    ) -> None:
        """A limit froze an agent's session, or a person all agents."""
        is_by_person = person_id is not None
        await self.insert(
            "journal_interventions",
            id=uuid4(),
            connection_id=connection_id,
            action="freeze",
            agent_id=agent_id,
            agent_name=word if agent_id is not None else None,
            user_id=person_id,
            user_name=word if is_by_person else None,
            reason=word if is_by_person else None,
        )

    async def add_account_rows(self, word: str, person_id: UUID) -> None:
        """What hangs on an account itself, with `word` in every text that can hold one."""
        address = await self.value("SELECT email FROM users WHERE id = %s", person_id)
        await self.run("UPDATE users SET name = %s WHERE id = %s", word, person_id)
        rows: tuple[tuple[str, dict[str, Any]], ...] = (
            ("signin_sessions", {"token_hash": uuid4().bytes, "client": word, "method": "password"}),
            ("account_tokens", {"purpose": "verify", "token_hash": uuid4().bytes, "email": f"{word}@example.com"}),
            ("recovery_codes", {"position": 7, "code_hash": f"hash of {word}"}),
            (
                "passkeys",
                {
                    "credential_id": uuid4().bytes,
                    "public_key": f"key of {word}".encode(),
                    "sign_count": 1,
                    "name": word,
                    "transports": [word],
                    "is_backed_up": False,
                },
            ),
            ("oauth_accounts", {"provider": "github", "subject": f"{word} subject", "login": word}),
            ("letters", {"kind": word, "address": address, "sealed_content": f"sealed {word}".encode()}),
        )
        for table, values in rows:
            own_id = {} if table in ("recovery_codes", "oauth_accounts") else {"id": uuid4()}
            until = {"expires_at": "2099-01-01"} if table == "account_tokens" else {}
            await self.insert(table, user_id=person_id, **own_id, **until, **values)
        await self.run(
            "INSERT INTO audit_events (subject, kind, details, address, client, name)"
            " SELECT audit_id, 'passkey_added', '{}', '203.0.113.9', %s, %s FROM users WHERE id = %s",
            word,
            word,
            person_id,
        )


def _make_mutation(word: str, write_id: UUID, session_id: UUID, connection_id: UUID | str) -> Mapping[str, Any]:
    return {
        "write_id": write_id,
        "session_id": session_id,
        "connection_id": connection_id,
        "position": 1,
        "schema_name": "public",
        "table_name": "notes",
        "verb": "update",
        "cause": "request",
        "key_columns": ["id"],
        "row_key": '["1"]',
        "before": f'{{"id":1,"body":"{word} before","price":12345678901234567890.123456789012345678901234567890}}',
        "after": f'{{"id":1,"body":"{word} \\u0000 after"}}',
        "before_exact": f'{{"id":"1","body":"{word}"}}',
        "after_exact": f'{{"id":"1","body":"{word}"}}',
    }
