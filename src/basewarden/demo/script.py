"""The demo as a script: an agent does damage, a person edits, an undo reverts the damage, and digests verify it."""

from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import httpx
import psycopg
from postgrest.exceptions import APIError
from psycopg import sql
from supabase import AsyncClient

from basewarden.demo.agent_work import AgentWork, PrintLine, agent_client
from basewarden.demo.data import DemoData
from basewarden.demo.person_edits import PersonEdits
from basewarden.demo.shop import digest_tables

SESSION_NAME = "spring-cleaning"
EDITED_TABLES = ("prices", "coupons")
_SHOWN_ROWS = 3
Rows = dict[str, Counter[str]]  # table -> each of its rows as text


class ScriptError(Exception):
    """The script did not have the expected result; its text says where."""


class DemoScript:
    """One run of the script. `print_line` receives the transcript line by line."""

    def __init__(self, data: DemoData, agent: AsyncClient, name: str, print_line: PrintLine) -> None:
        self.data = data
        self.work = AgentWork(agent, name, print_line)
        self.edits = PersonEdits(data)
        self.name = name
        self.print_line = print_line
        self.session_id = ""

    async def run(self) -> None:
        digests = await digest_tables(self.data.shop_dsn.reveal())
        rows = await self._read_edited_tables()
        self.print_line(f"The shop at the start: {len(digests)} tables, digest of all {_shorten(digests)}")
        await self.work.read()
        await self.work.work()
        await self.edits.choose_rows()
        await self.work.cause_damage()
        await self._edit_as_person()
        edited = await self._read_edited_tables()
        await self._show_timeline()
        await self._preview()
        await self._undo()
        await self._verify(digests, rows, edited)

    async def _edit_as_person(self) -> None:
        self._title("Meanwhile a person edits two of the same rows")
        for line in await self.edits.edit():
            self.print_line(f"  {line}")

    async def _show_timeline(self) -> None:
        self._title("The session, as Basewarden recorded it")
        session, mutations = await self._read_session()
        self.print_line(f"  {session['caller']}, “{session['label']}”: {session['mutationCount']} rows changed")
        summaries = {write["id"]: write["summary"] for write in session["writes"]}
        for write_id, group in groupby(mutations, key=lambda item: item["writeId"]):
            changes = list(group)
            self.print_line(f"  {summaries[write_id][:100]}")
            counts = Counter((item["schema"], item["table"], item["verb"], item["cause"]) for item in changes)
            for (schema, table, verb, cause), count in counts.items():
                by = "" if cause == "request" else f"   (by {cause})"
                self.print_line(f"      {count:>6} {_past_tense(verb)} in {schema}.{table}{by}")
            for item in changes[:_SHOWN_ROWS]:
                self.print_line(f"             {_describe_change(item)}")

    async def _preview(self) -> None:
        self._title("Preview of the undo")
        receipt = await self._request_undo("preview", "refuse")
        self.print_line(f"  {receipt['planned']} rows to undo, {len(receipt['conflicts'])} conflicts:")
        for conflict in receipt["conflicts"]:
            self.print_line(
                f"      {conflict['schema']}.{conflict['table']} {conflict['primaryKey']}: {conflict['reason']}"
            )
        _require(len(receipt["conflicts"]) == 2, "the person's two edits must be the only conflicts")
        refused = await self.data.person.post(self._undo_path, json={"mode": "apply", "onConflict": "refuse"})
        _require(refused.status_code == 409, "an undo with conflicts must refuse")
        self.print_line("  without onConflict=skip: refused, nothing was changed")

    async def _undo(self) -> None:
        self._title("Undo, with onConflict=skip")
        receipt = await self._request_undo("apply", "skip")
        self.print_line(f"  {receipt['reverted']} rows undone, {receipt['skipped']} newer edits kept")
        for item in receipt["irreversible"]:
            self.print_line(f"      cannot be undone: {item}")

    async def _verify(
        self, digests: dict[str, str], rows: dict[str, Counter[str]], edited: dict[str, Counter[str]]
    ) -> None:
        self._title("Proof, row by row")
        now = await digest_tables(self.data.shop_dsn.reveal())
        rows_now = await self._read_edited_tables()
        for table, digest in sorted(digests.items()):
            if table.removeprefix("public.") in EDITED_TABLES:
                continue
            _require(now[table] == digest, f"{table} is not as it was")
            self.print_line(f"  {table:<24} {digest[:16]}  as it was")
        for table in EDITED_TABLES:
            lost, found = rows[table] - rows_now[table], rows_now[table] - rows[table]
            one_row = sum(lost.values()) == sum(found.values()) == 1
            _require(one_row, f"{table} must differ in the person's row only")
            _require(not found - edited[table], f"the person's row of {table} must be as the person left it")
            self.print_line(f"  {'public.' + table:<24} as it was, but for the one row that the person edited")
        self.print_line("")
        self.print_line("Everything is as before the agent's session, and the person's two edits are kept.")

    async def _read_edited_tables(self) -> Rows:
        dsn = self.data.shop_dsn.reveal()
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            found = {}
            for table in EDITED_TABLES:
                query = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
                cursor = await connection.execute(query)
                found[table] = Counter(row[0] for row in await cursor.fetchall())
            return found

    async def _read_session(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        path = f"/api/connections/{self.data.connection_id}/sessions"
        listed = (await self.data.person.get(path)).raise_for_status().json()["sessions"]
        self.session_id = next(item["id"] for item in listed if item["label"] == self.name)
        mutations: list[dict[str, Any]] = []
        after: int | None = 0
        session: dict[str, Any] = {}
        while after is not None:
            answer = await self.data.person.get(f"{path}/{self.session_id}", params={"after": after})
            session = answer.raise_for_status().json()
            mutations += session["mutations"]
            after = session["nextAfter"]
        return session, mutations

    @property
    def _undo_path(self) -> str:
        return f"/api/connections/{self.data.connection_id}/sessions/{self.session_id}/undo"

    async def _request_undo(self, mode: str, on_conflict: str) -> dict[str, Any]:
        answer = await self.data.person.post(self._undo_path, json={"mode": mode, "onConflict": on_conflict})
        receipt: dict[str, Any] = answer.json()
        _require("conflicts" in receipt, f"the undo answered {answer.text}")
        return receipt

    def _title(self, text: str) -> None:
        self.print_line("")
        self.print_line(text)


async def run_script(data: DemoData, print_line: PrintLine) -> None:
    """Runs the script. Raises ScriptError unless all data but the person's edits is restored."""
    name = f"{SESSION_NAME}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    try:
        async with agent_client(data, name) as agent:
            await DemoScript(data, agent, name, print_line).run()
    except (APIError, httpx.HTTPError) as error:
        raise ScriptError(f"The script stopped early: {error}") from error


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion's condition
    if not holds:
        raise ScriptError(f"The script did not have the expected result: {otherwise}.")


def _past_tense(verb: str) -> str:
    return {"insert": "inserted", "update": "updated", "delete": "deleted"}[verb]


def _describe_change(item: dict[str, Any]) -> str:
    key = ", ".join(f"{name} {value}" for name, value in item["primaryKey"].items())
    before, after = item["beforeExact"], item["afterExact"]
    if before is None or after is None:
        shown = list((before or after or {}).items())[:4]
        return f"{'+' if before is None else '-'} {key}: " + ", ".join(f"{name} {value}" for name, value in shown)
    changed = [f"{name} {before[name]} -> {after[name]}" for name in before if before[name] != after.get(name)]
    return f"~ {key}: " + ", ".join(changed)


def _shorten(digests: dict[str, str]) -> str:
    return "".join(digest[0] for _, digest in sorted(digests.items()))
