"""The product against its own OpenAPI document, with generated requests: no 5xx, and every answer declared.

`FUZZ_EXAMPLES` asks for more requests an operation than the few of a usual run.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.app import ServedProduct

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
COOKIE = "authjs.session-token"
pytestmark = pytest.mark.filterwarnings(
    # The served product draws random numbers on its own thread while a case is drawn on this one.
    "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"
)
ENDS_THE_SESSION = ("/api/auth/signout", "/api/account/sessions")
"""Tried last, for what comes after them would only be refused."""


def list_operations(document: dict[str, Any]) -> Iterator[Any]:
    schema = schemathesis.openapi.from_dict(document)
    found = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        found.append(result.ok())
    yield from sorted(found, key=lambda one: (one.path in ENDS_THE_SESSION, one.label))


def is_not_configured(response: requests.Response) -> bool:
    """The one 5xx that is no fault: the deployment of this test has no billing and no scheduler."""
    return response.status_code == 503 and response.json()["code"] == "not_configured"


def try_operation(operation: Any, address: str, cookies: dict[str, str]) -> set[int]:
    """The statuses that it answered. An answer that the document does not know raises."""
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        with requests.Session() as session:
            session.trust_env = False
            response = case.call(base_url=address, session=session, cookies=cookies, allow_redirects=False, timeout=30)
        is_refusal = is_not_configured(response)
        case.validate_response(response, checks=CHECKS[1:] if is_refusal else CHECKS)
        seen.add(response.status_code)

    send()
    return seen


def try_all(document: dict[str, Any], address: str, cookies: dict[str, str]) -> tuple[dict[str, set[int]], list[str]]:
    """What each operation answered, and what was wrong with it."""
    seen, wrong = {}, []
    for operation in list_operations(document):
        try:
            seen[operation.label] = try_operation(operation, address, cookies)
        except FailureGroup as group:
            wrong += [f"{operation.label}: {failure}" for failure in group.exceptions]
    return seen, wrong


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/api/openapi.json")).json()
    return found


async def test_signed_in_nothing_breaks_and_every_answer_is_declared(
    product: ServedProduct, owner: httpx.AsyncClient, connection_id: str, document: dict[str, Any]
) -> None:
    cookies = {COOKIE: owner.cookies[COOKIE]}
    seen, wrong = await asyncio.to_thread(try_all, document, product.settings.origin, cookies)
    assert wrong == []
    assert len(seen) > 30
    assert any(200 in statuses for statuses in seen.values())


async def test_a_stranger_gets_declared_answers_only(product: ServedProduct, document: dict[str, Any]) -> None:
    seen, wrong = await asyncio.to_thread(try_all, document, product.settings.origin, {})
    assert wrong == []
    assert 401 in seen["GET /api/connections"]


async def test_every_error_of_the_document_is_the_one_body(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and path != "/api/health":  # which answers its six fields in any case
                    assert "ErrorBody" in str(answer), (method, path, status)
