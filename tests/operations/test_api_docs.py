"""The API's page against the OpenAPI document and the routes, both ways."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from basewarden.operations.api import COMMON, GROUPS, Answer, Endpoint, Group, write_markdown
from basewarden.web import CallerKind
from basewarden.web.openapi import list_common_refusals
from scripts.api import PAGE
from scripts.reference import list_codes
from tests.fixtures.bench import Workshop
from tests.rules.test_callers import callers_of, make_product

Told = dict[str, object]
NARROWEST = (CallerKind.MEMBER, CallerKind.SCHEDULER, CallerKind.PROVIDER, CallerKind.PERSON, CallerKind.ANYONE)


def list_documented(groups: tuple[Group, ...]) -> Iterator[Endpoint]:
    for group in groups:
        if group.in_document:
            yield from group.endpoints


def describe_documented(groups: tuple[Group, ...]) -> dict[tuple[str, str], Told]:
    return {
        (one.method, one.path): {
            "caller": one.caller,
            "body": set(one.body),
            "query": set(one.query),
            "answers": {(answer.status, answer.code) for answer in one.answers},
            "fields": {answer.status: set(answer.fields) for answer in one.answers if answer.fields},
        }
        for one in list_documented(groups)
    }


def describe_served(app: FastAPI) -> dict[tuple[str, str], Told]:
    """What the code says of the same things."""
    document = app.openapi()
    needs = {
        (route.path, method): callers_of(route)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }
    return {
        (method.upper(), path): _describe(document, path, method, operation, needs[(path, method.upper())])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def _describe(document: Any, path: str, method: str, operation: Any, kinds: set[CallerKind]) -> Told:
    common = list_common_refusals(path, method, operation)
    answers, fields = set(), {}
    for status, answer in ((int(status), answer) for status, answer in operation["responses"].items()):
        codes = re.findall(r"`(\w+)`", answer["description"]) if status >= 400 else [""]
        answers |= {(status, code) for code in codes if code not in common.get(status, ())}
        if status < 400:
            fields[status] = {name.rstrip("?") for name in _list_fields(document, answer)}
    return {
        "caller": next(kind for kind in NARROWEST if kind in kinds),
        "body": _list_fields(document, operation.get("requestBody", {})),
        "query": {
            _mark(one["name"], one["required"]) for one in operation.get("parameters", []) if one["in"] == "query"
        },
        "answers": answers,
        "fields": {status: names for status, names in fields.items() if names},
    }


def _list_fields(document: Any, holder: Any) -> set[str]:
    for content in holder.get("content", {}).values():
        schema = content["schema"]
        choices = [schema, *schema.get("anyOf", [])]
        for choice in choices:
            if "$ref" in choice:
                found = document["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
                required = found.get("required", [])
                return {_mark(name, name in required) for name in found.get("properties", {})}
    return set()


def _mark(name: str, is_required: object) -> str:
    return name if is_required else f"{name}?"


def find_differences(groups: tuple[Group, ...], app: FastAPI) -> list[str]:
    told, served = describe_documented(groups), describe_served(app)
    found = [f"{key} is not documented" for key in served.keys() - told.keys()]
    found += [f"{key} does not exist" for key in told.keys() - served.keys()]
    for key in told.keys() & served.keys():
        ours, theirs = without_common(told[key]), without_common(served[key])
        found += [f"{key} {part}: {ours[part]} but {theirs[part]}" for part in ours if ours[part] != theirs[part]]
    return sorted(found)


def without_common(told: Told) -> Told:
    """A refusal that may come from anywhere may be named at an endpoint too, with what it means there."""
    common = {(one.status, one.code) for one in COMMON}
    answers = told["answers"]
    assert isinstance(answers, set)
    return {**told, "answers": answers - common}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return make_product()[1]


def test_every_endpoint_is_documented_as_it_is_and_nothing_else_is(app: FastAPI) -> None:
    assert len(describe_served(app)) > 40
    assert find_differences(GROUPS, app) == []


def test_differences_are_found(app: FastAPI) -> None:
    group = GROUPS[0]
    first, second, *rest = group.endpoints
    wrong = replace(
        first, answers=(*first.answers, Answer(418, "teapot")), body=("email", "password"), caller=CallerKind.PERSON
    )
    invented = replace(second, path="/api/auth/open-sesame")
    groups = (replace(group, endpoints=(wrong, invented, *rest)), *GROUPS[1:])
    found = find_differences(groups, app)
    assert [line.partition(":")[0] for line in found] == [
        "('POST', '/api/auth/open-sesame') does not exist",
        "('POST', '/api/auth/signin') is not documented",
        "('POST', '/api/auth/signup') answers",
        "('POST', '/api/auth/signup') body",
        "('POST', '/api/auth/signup') caller",
    ]


def test_what_is_promised_is_marked_stable() -> None:
    stable = {f"{one.method} {one.path}" for one in list_documented(GROUPS) if one.is_stable}
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


def test_every_code_is_one_that_the_product_has() -> None:
    told = {
        (answer.status, answer.code)
        for group in GROUPS
        for endpoint in group.endpoints
        for answer in (*endpoint.answers, *COMMON)
        if answer.code
    }
    assert told - list_codes() == set()


async def test_the_data_road_is_where_the_page_says(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE things (id int PRIMARY KEY)")
    agent = await bench.agent()
    for endpoint in next(group for group in GROUPS if not group.in_document).endpoints:
        path = endpoint.path.format(connection_id=bench.connection_id, path="things")
        answer = await agent.api.get(path.removeprefix(f"/api/v/{bench.connection_id}"))
        assert answer.status_code == 200, path


async def test_the_page_shows_each_endpoint_to_anybody(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs/api")
    assert page.status_code == 200
    anchors = [endpoint.anchor for group in GROUPS for endpoint in group.endpoints]
    assert len(anchors) == len(set(anchors))
    assert [anchor for anchor in anchors if page.text.count(f'id="{anchor}"') != 1] == []
    assert "/api/account/2fa/enable" in page.text


async def test_the_index_leads_to_the_guide_and_the_api(client: httpx.AsyncClient) -> None:
    index = await client.get("/docs")
    assert index.status_code == 200
    for address in ("/docs/guide", "/docs/api", "/api/openapi.json", "/status", "/contact"):
        assert f'href="{address}"' in index.text
        assert (await client.get(address)).status_code == 200


def test_the_markdown_is_up_to_date() -> None:
    assert PAGE.read_text() == write_markdown(GROUPS), "run python scripts/api.py"
