"""The API reference: complete, true to the routes, and with examples that are valid."""

import ast
import asyncio
import html
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from basewarden.gateway import DATA_ERRORS
from basewarden.operations.api import INTRODUCTION, list_data_errors, read_reference, write_markdown
from basewarden.operations.api.reference import COMMON, ApiGroup, ApiOperation
from basewarden.web import CallerKind
from basewarden.web.assets import find_node
from basewarden.web.examples import BY_MEMBER, BY_NAME
from basewarden.web.openapi import describe_api, list_common_refusals, list_operations
from scripts.reference import list_codes
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Workshop
from tests.fixtures.openapi import JSON, list_answers, list_mismatches
from tests.rules.test_callers import callers_of, make_product

ORIGIN = "https://basewarden.example.com"
SERVED_BEFORE = "/api/v/"
"""What the data API answers before FastAPI sees it."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return make_product()[1]


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


@pytest.fixture(scope="module")
def groups(document: dict[str, Any]) -> tuple[ApiGroup, ...]:
    return read_reference(document, ORIGIN)


def list_all(groups: tuple[ApiGroup, ...]) -> list[ApiOperation]:
    return [operation for group in groups for operation in group.operations]


def find_bad_examples(document: dict[str, Any]) -> list[str]:
    """Bodies and answers without an example, and examples that their own schema refuses."""
    bodies = [
        (f"{method.upper()} {path}", "body", operation["requestBody"])
        for path, method, operation in list_operations(document)
        if "requestBody" in operation
    ]
    answers = [(name, str(status), answer) for name, status, answer in list_answers(document) if "content" in answer]
    found = []
    for name, part, holder in (*bodies, *answers):
        content = holder["content"].get(JSON, holder["content"].get("text/event-stream"))
        if "example" not in content:
            found.append(f"{name} {part} has no example")
        else:
            wrong = list_mismatches(document, content["schema"], content["example"])
            found += [f"{name} {part}: {mismatch}" for mismatch in wrong]
    return found


def test_every_operation_of_the_document_is_in_the_reference(
    document: dict[str, Any], groups: tuple[ApiGroup, ...]
) -> None:
    shown = {(one.path, one.method.lower()) for one in list_all(groups)}
    assert shown == {(path, method) for path, method, _ in list_operations(document)}
    assert len(shown) > 50


def test_operations_of_a_group_have_short_names_of_their_own(groups: tuple[ApiGroup, ...]) -> None:
    for group in groups:
        names = [one.short_summary for one in group.operations]
        assert len(set(names)) == len(names), group.key
        assert max(map(len, names)) <= 70
        assert [name for name in names if name.partition(" ")[0].endswith("s")] == []


def test_the_key_of_a_group_is_an_address_and_one_id(groups: tuple[ApiGroup, ...]) -> None:
    """A key with a space would name two ids where a part of the page says what labels it."""
    assert [group.key for group in groups if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", group.key)] == []


def test_every_operation_has_a_plain_sentence(groups: tuple[ApiGroup, ...]) -> None:
    odd = [one.path for one in list_all(groups) if not re.fullmatch(r"[A-Z][a-z]+s .+\.|Signs out\.", one.summary)]
    assert odd == []


def test_every_operation_has_an_example_request_and_answer(
    document: dict[str, Any], groups: tuple[ApiGroup, ...]
) -> None:
    assert find_bad_examples(document) == []
    for one in list_all(groups):
        assert one.request.startswith("curl "), one.path
        assert "{" not in one.request.partition("-d ")[0], one.path
        assert one.example or one.status in (204, 303), one.path
        assert '"string"' not in one.request + one.example, one.path


def test_an_example_that_its_schema_refuses_is_found(document: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    content = {JSON: {"schema": schema, "example": {"id": "seven", "more": 1}}}
    operation = {"responses": {"200": {"content": content}}, "requestBody": {"content": {JSON: {"schema": schema}}}}
    wrong = find_bad_examples({**document, "paths": {"/odd": {"post": operation}}})
    assert [line.partition(":")[0] for line in wrong] == ["POST /odd body has no example", *["POST /odd 200"] * 2]


def test_every_example_of_the_table_is_used(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    members = {f"{title}.{name}" for title, one in schemas.items() for name in one.get("properties", ())}
    parameters = {
        parameter["name"]
        for _, _, operation in list_operations(document)
        for parameter in operation.get("parameters", ())
    }
    assert sorted(set(BY_MEMBER) - members) == []
    assert sorted(set(BY_NAME) - {member.partition(".")[2] for member in members} - parameters) == []


def test_the_document_says_who_may_call_as_the_routes_do(app: FastAPI, document: dict[str, Any]) -> None:
    needs = {
        (route.path, method): {str(kind) for kind in callers_of(route)}
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }
    for path, method, operation in list_operations(document):
        if not path.startswith(SERVED_BEFORE):
            assert set(operation["x-callers"]) == needs[(path, method.upper())], path


def test_the_role_that_a_member_needs_is_named(groups: tuple[ApiGroup, ...]) -> None:
    callers = {f"{one.method} {one.path}": one.caller for one in list_all(groups)}
    connection = "/api/connections/{connection_id}"
    assert callers[f"GET {connection}/sessions"] == "a member of the connection"
    assert callers[f"POST {connection}/sessions/{{session_id}}/undo"] == "an editor or owner of the connection"
    assert callers[f"DELETE {connection}"] == "an owner of the connection"
    assert callers["POST /api/auth/signin"] == "anyone"
    assert callers["POST /api/cron/retention"] == "a scheduler with CRON_SECRET"


def test_what_is_common_to_all_is_described_once(document: dict[str, Any], groups: tuple[ApiGroup, ...]) -> None:
    common = {
        (status, code)
        for path, method, operation in list_operations(document)
        for status, codes in list_common_refusals(path, method, operation).items()
        for code in codes
    }
    assert set(COMMON) == common
    introduced = "".join(chapter.paragraphs[1] for chapter in INTRODUCTION if chapter.key == "errors")
    assert [code for status, code in COMMON if f"{status} `{code}`" not in introduced] == []
    assert [one.path for one in list_all(groups) if {(error.status, error.code) for error in one.errors} & common] == []


def test_every_code_is_one_that_the_product_has(groups: tuple[ApiGroup, ...]) -> None:
    prose = "".join(paragraph for chapter in INTRODUCTION for paragraph in chapter.paragraphs)
    named = {(int(status), code) for status, code in re.findall(r"\b(\d{3})\s`(\w+)`", prose)}
    named |= {(error.status, error.code) for one in list_all(groups) for error in one.errors}
    assert len(named) > 40
    assert named - list_codes() == set()
    assert {(error.status, error.code) for error in list_data_errors(DATA_ERRORS)} - list_codes() == set()


def test_an_undo_that_conflicts_is_shown_with_its_receipt(groups: tuple[ApiGroup, ...]) -> None:
    (undo,) = (one for one in list_all(groups) if one.path.endswith("{session_id}/undo"))
    assert '"code": "undo_conflict"' in undo.refusal
    assert '"details": {\n    "planned"' in undo.refusal


def test_what_is_promised_is_marked_stable(groups: tuple[ApiGroup, ...]) -> None:
    stable = {f"{one.method} {one.path}" for one in list_all(groups) if one.is_stable}
    assert stable >= {
        "POST /api/account/forgot-password",
        "POST /api/account/reset-password",
        "POST /api/account/change-password",
        "POST /api/account/verify-email/start",
        "POST /api/account/verify-email/confirm",
        "GET /api/account/export",
        "POST /api/account/2fa/setup",
        "POST /api/account/2fa/enable",
        "POST /api/account/2fa/verify",
        "POST /api/account/2fa/disable",
        "POST /api/billing/checkout",
        "POST /api/billing/portal",
        "POST /api/webhooks/dodo",
        "GET /api/health",
        "POST /api/cron/retention",
    }


async def test_the_data_is_where_the_reference_says(workshop: Workshop, document: dict[str, Any]) -> None:
    bench = await workshop.bench(
        "CREATE TABLE makers (id int PRIMARY KEY);"
        "CREATE TABLE things (id int PRIMARY KEY, maker_id int REFERENCES makers, mood text DEFAULT 'fine')"
    )
    agent = await bench.agent()
    assert (await agent.api.get("/rest/v1/things")).status_code == 200
    described = await agent.api.get("/introspect")
    operation = document["paths"]["/api/v/{connection_id}/introspect"]["get"]
    schema = operation["responses"]["200"]["content"][JSON]["schema"]
    assert list_mismatches(document, schema, described.json()) == []
    assert {str(CallerKind.AGENT), str(CallerKind.MEMBER)} == set(operation["x-callers"])


async def test_the_pages_show_each_operation_to_anyone(
    client: httpx.AsyncClient, product: ServedProduct, groups: tuple[ApiGroup, ...]
) -> None:
    """The first page has every operation as a link, the page of its group all of it."""
    first = await client.get("/docs/api")
    assert first.status_code == 200
    anchors = [one.anchor for one in list_all(groups)]
    assert len(anchors) == len(set(anchors))
    assert [anchor for anchor in anchors if first.text.count(f'id="{anchor}"') != 1] == []
    for group in groups:
        page = await client.get(f"/docs/api/{group.key}")
        assert page.status_code == 200
        assert page.text.count("<code>text/event-stream</code>") == sum(one.is_stream for one in group.operations)
        samples = {code.replace(product.settings.origin, ORIGIN) for code in read_code(page.text)}
        for one in group.operations:
            assert f'href="/docs/api/{group.key}#{one.anchor}"' in first.text
            assert page.text.count(f'id="{one.anchor}"') == 1
            assert f'href="#{one.anchor}"' in page.text
            shown = [field.name for field in (*one.parameters, *one.body, *one.answer)]
            assert [name for name in shown if f"<code>{name}</code>" not in page.text] == []
            for code in (*(example.code for example in one.requests), one.example, one.refusal):
                assert code in samples or not code


def read_code(page: str) -> set[str]:
    """The text of each sample of code, without its colours."""
    found = re.findall(r'<code id="[^"]+">(.*?)</code>', page, re.DOTALL)
    return {html.unescape(re.sub(r"<[^>]+>", "", code)) for code in found}


def test_the_examples_in_python_are_python(groups: tuple[ApiGroup, ...]) -> None:
    for one in list_all(groups):
        labels = [example.label for example in one.requests]
        assert labels == ["curl", "Python", "JavaScript"]
        assert f"requests.{one.method.lower()}(" in ast.unparse(ast.parse(one.requests[1].code))


def test_the_examples_in_javascript_are_javascript(groups: tuple[ApiGroup, ...], tmp_path: Path) -> None:
    node = find_node()
    assert node is not None
    code = "\n".join(f"async () => {{\n{one.requests[2].code}\n}};" for one in list_all(groups))
    (tmp_path / "examples.mjs").write_text(code)
    checked = subprocess.run(
        [node.node, "--check", tmp_path / "examples.mjs"], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


async def test_the_index_leads_to_the_guide_and_the_api(client: httpx.AsyncClient) -> None:
    index = await client.get("/docs")
    assert index.status_code == 200
    for address in ("/docs/guide", "/docs/api", "/api/openapi.json", "/status", "/contact"):
        assert f'href="{address}"' in index.text
        assert (await client.get(address)).status_code == 200


async def test_the_document_is_made_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes more than a second, in which others would wait."""
    threads: list[int] = []

    def describe(*arguments: Any) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return describe_api(*arguments)

    monkeypatch.setattr("basewarden.app.describe_api", describe)
    answers = await asyncio.gather(*[client.get("/api/openapi.json") for _ in range(3)], client.get("/docs/api"))
    assert [one.status_code for one in answers] == [200] * 4
    assert answers[0].headers["content-type"] == "application/json"
    assert answers[0].json()["info"]["title"] == "Basewarden"
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_streams_of_events_name_their_media_type(groups: tuple[ApiGroup, ...]) -> None:
    page = write_markdown(groups, list_data_errors(DATA_ERRORS))
    assert page.count("Answer 200, a stream of events as `text/event-stream`.") == 2
    bare = [one.path for one in list_all(groups) if not (one.answer or one.example) and one.status not in (204, 303)]
    assert bare == []


def test_each_link_of_the_contents_of_the_markdown_leads_to_a_heading(groups: tuple[ApiGroup, ...]) -> None:
    page = write_markdown(groups, list_data_errors(DATA_ERRORS))
    headings = {
        re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(links) > 50
    assert set(links) - headings == set()
