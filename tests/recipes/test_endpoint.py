"""Follows `docs/contributing/endpoint.md` step by step with the endpoint in `agent_names/`.

The product gets it as an addition; what the rules ask of the product's own routes is asked of it too.
"""

from pathlib import Path

import httpx
import pytest

from basewarden.app import Addition
from basewarden.web import Registry
from tests.fixtures.app import Serve, ServedProduct
from tests.recipes.agent_names.wiring import ROUTERS
from tests.rules.sources import CHECKOUT
from tests.rules.test_callers import find_contradictions, find_undeclared

EXAMPLE = Path(__file__).parent / "agent_names"


def wire_nothing(_: Registry) -> None:
    """The example has no objects of its own."""


@pytest.fixture
async def product(serve: Serve) -> ServedProduct:
    return await serve(addition=Addition(wire_nothing, ROUTERS))


@pytest.fixture
async def path(owner: httpx.AsyncClient, connection_id: str) -> str:
    for name in ("price-bot", "Price watcher", "clerk", "gone"):
        made = await owner.post(f"/api/connections/{connection_id}/agents", json={"name": name, "access": "read"})
        assert made.status_code == 201, made.text
    assert (await owner.delete(f"/api/connections/{connection_id}/agents/{made.json()['id']}")).is_success
    return f"/api/connections/{connection_id}/agent-names"


def test_the_recipe_names_the_example_and_each_of_its_files() -> None:
    recipe = (CHECKOUT / "docs" / "contributing" / "endpoint.md").read_text()
    assert "`tests/recipes/agent_names/`" in recipe
    assert {file.name for file in EXAMPLE.glob("*.py")} == {
        name for name in ("queries.py", "service.py", "routes.py", "schemas.py", "wiring.py") if f"`{name}`" in recipe
    }


def test_its_routes_declare_who_may_call_them() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    assert routes
    assert find_undeclared(routes) == []
    assert find_contradictions(routes) == []


async def test_it_answers_members_alone(owner: httpx.AsyncClient, stranger: httpx.AsyncClient, path: str) -> None:
    assert (await owner.get(path)).json() == {"names": ["clerk", "Price watcher", "price-bot"], "hasMore": False}
    assert (await owner.get(f"{path}?startsWith=price&limit=1")).json() == {"names": ["Price watcher"], "hasMore": True}
    assert (await owner.get(f"{path}?startsWith=%25")).json() == {"names": [], "hasMore": False}
    for refused in (await stranger.get(path), await owner.get(path.replace(path.split("/")[3], "no-such-id"))):
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


async def test_a_visitor_signs_in_first(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "limit=x", f"startsWith={'a' * 81}", "startsWith=%00"])
async def test_wrong_and_huge_input_is_a_clear_error(owner: httpx.AsyncClient, path: str, query: str) -> None:
    answer = await owner.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["details"][0]["field"] == query.partition("=")[0]


async def test_the_document_describes_it(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/openapi.json")).json()
    operation = found["paths"]["/api/connections/{connection_id}/agent-names"]["get"]
    assert operation["summary"] == "Lists names of agents that begin with a text."
    assert {"200", "401", "404"} <= set(operation["responses"])
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["example"] == {"names": ["price-bot"], "hasMore": True}
