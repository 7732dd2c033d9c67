"""Real answers of the journal and of the undo against the schemas of the OpenAPI document.

Those routes encode their answers themselves, so only a test can notice that a model is not what they answer.
"""

from typing import Any

import httpx
import pytest

from basewarden.journal import RefusalLog
from tests.fixtures.bench import Bench, Workshop, on_both_backends
from tests.fixtures.openapi import JSON, list_answer_mismatches, list_answers, list_mismatches

BODILESS = (204, 303)
DDL = """
    CREATE TABLE makers (id int PRIMARY KEY, name text, mood jsonb);
    CREATE TABLE lamps (id int PRIMARY KEY, price numeric(10, 2), lit boolean DEFAULT true,
                        maker_id int REFERENCES makers ON DELETE CASCADE);
    CREATE TABLE secrets (id int PRIMARY KEY, n int);
    INSERT INTO makers VALUES (1, 'Ada', '{"a": [1.10]}'), (2, NULL, NULL);
    INSERT INTO lamps VALUES (1, 11.90, true, 1), (2, 5.00, false, 1), (3, 7.25, NULL, 2);
    INSERT INTO secrets VALUES (1, 1), (2, 2);
    CREATE FUNCTION hide() RETURNS void LANGUAGE sql AS 'UPDATE secrets SET n = n + 1';
"""


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/api/openapi.json")).json()
    return found


class Sessions:
    """Calls the routes under `…/sessions`, and checks each answer against the document."""

    def __init__(self, bench: Bench, document: dict[str, Any]) -> None:
        self.bench = bench
        self._document = document
        self._root = f"/api/connections/{bench.connection_id}"

    async def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = await self.bench.person.request(method, self._root + path, **options)
        assert answer.status_code == status, answer.text
        assert list_answer_mismatches(self._document, answer) == []
        return answer.json()

    async def undo(self, session: str, mode: str = "apply", status: int = 200, **options: Any) -> Any:
        return await self.call("POST", f"/sessions/{session}/undo", status, json={"mode": mode, **options})


async def open_sessions(workshop: Workshop, document: dict[str, Any]) -> Sessions:
    return Sessions(await workshop.bench(DDL), document)


@on_both_backends
async def test_the_journal_answers_what_the_document_says(
    workshop: Workshop, document: dict[str, Any], backend: str
) -> None:
    sessions = await open_sessions(workshop, document)
    agent = await sessions.bench.agent(name="price-bot")
    named = {"x-basewarden-session": "autumn prices"}
    await agent.write("PATCH", "/lamps?id=eq.1", {"price": 12.5}, headers=named)
    await agent.write("POST", "/lamps", {"id": 4, "price": 1}, headers=named)
    await agent.write("POST", "/rpc/hide", headers=named) if backend == "direct" else None
    session = (await agent.write("DELETE", "/makers?id=eq.1", headers=named)).session_id
    listed = await sessions.call("GET", "/sessions")
    assert [one["label"] for one in listed["sessions"]] == ["autumn prices"]
    assert {one["verb"] for one in (await sessions.call("GET", f"/sessions/{session}"))["mutations"]} > {"delete"}
    assert (await sessions.call("GET", "/sessions?limit=1"))["nextCursor"] is None
    assert (await sessions.call("POST", f"/sessions/{session}/freeze"))["frozenReason"] == "member"
    assert (await sessions.call("POST", f"/sessions/{session}/release"))["frozenAt"] is None


async def test_a_write_with_changes_that_were_only_counted_does(workshop: Workshop, document: dict[str, Any]) -> None:
    sessions = await open_sessions(workshop, document)
    agent = await sessions.bench.agent()
    session = (await agent.write("POST", "/rpc/hide")).session_id
    (write,) = (await sessions.call("GET", f"/sessions/{session}"))["writes"]
    assert write["unseen"][0]["updated"] == 2


async def test_refusals_do(workshop: Workshop, document: dict[str, Any]) -> None:
    sessions = await open_sessions(workshop, document)
    agent = await sessions.bench.agent(tables=["lamps"])
    assert (await agent.http.delete("/lamps")).status_code == 400
    assert (await agent.http.patch("/makers?id=eq.1", json={"name": "x"})).status_code in (403, 404)
    await sessions.bench.product.registry.get(RefusalLog).flush()
    assert (await sessions.call("GET", "/refusals"))["refusals"]


@on_both_backends
async def test_the_undo_answers_what_the_document_says(
    workshop: Workshop, document: dict[str, Any], backend: str
) -> None:
    sessions = await open_sessions(workshop, document)
    agent = await sessions.bench.agent()
    session = (await agent.write("PATCH", "/lamps?id=in.(1,2)", {"price": 9.99, "lit": False})).session_id
    token = (await sessions.undo(session, "preview"))["previewToken"]
    await sessions.bench.run("UPDATE lamps SET price = 1.5 WHERE id = 1")
    stale = await sessions.undo(session, status=409, previewToken=token)
    assert (stale["code"], stale["details"]["planned"]) == ("preview_stale", 2)
    refused = await sessions.undo(session, status=409)
    assert refused["code"] == "undo_conflict"
    assert refused["details"]["conflicts"][0]["columns"][0]["now"] == 1.5
    done = await sessions.undo(session, onConflict="skip")
    assert (done["reverted"], done["skipped"]) == (1, 1)
    await sessions.bench.run("UPDATE lamps SET price = 9.99 WHERE id = 1")
    await sessions.undo(session)
    again = await sessions.undo(session, status=409)
    assert (again["code"], again["details"]["undoSessionId"] is None) == ("already_undone", False)
    writes = {change["writeId"] for change in (await sessions.call("GET", f"/sessions/{session}"))["mutations"]}
    target = {"mode": "apply", "target": {"writeIds": sorted(writes)}}
    assert (await sessions.call("POST", "/undo", 409, json=target))["code"] == "already_undone"
    file = await sessions.call("GET", f"/undos/{done['undoSessionId']}/receipt.json")
    assert (file["sessionId"], file["state"]) == (session, "done")
    assert (await sessions.call("GET", "/sessions"))["sessions"][0]["kind"] == "undo"


async def test_every_operation_says_what_it_answers(document: dict[str, Any]) -> None:
    silent = [
        (operation, status)
        for operation, status, answer in list_answers(document)
        if status not in BODILESS and not any(kind.get("schema") for kind in answer.get("content", {}).values())
    ]
    assert silent == []
    succeed = {operation for operation, status, _ in list_answers(document) if status < 400}
    assert succeed == {operation for operation, _, _ in list_answers(document)}


async def test_an_undo_conflict_without_its_receipt_is_not_what_the_document_says(document: dict[str, Any]) -> None:
    path = "/api/connections/{connection_id}/sessions/{session_id}/undo"
    schema = document["paths"][path]["post"]["responses"]["409"]["content"][JSON]["schema"]
    bare = {"code": "undo_conflict", "message": "m", "details": None, "hint": None}
    assert list_mismatches(document, schema, bare) != []
    assert list_mismatches(document, schema, {**bare, "code": "undo_running"}) == []
    assert list_mismatches(document, schema, {**bare, "code": "made_up"}) != []
