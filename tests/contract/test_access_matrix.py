"""Every route by every kind of caller: what the running product answers is what the route's checks declare.

A new route is tested without being named here. What the allowed requests change is rolled back, so that each request finds the
same product.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from basewarden.db import Database, WriteSession
from basewarden.web import MEMBER_ROLES, CallerKind, CallerNeed, RouteAccess, list_route_access
from tests.fixtures.app import ProjectDatabase, ServedProduct
from tests.fixtures.members import Team, make_team
from tests.fixtures.twofactor import StepClock, turn_on
from tests.rules.test_callers import make_product

UNKNOWN = "01890000-0000-7000-8000-000000000000"
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
PEOPLE = ("owner", "editor", "viewer", "other account")
AGENTS = ("agent read", "agent propose", "agent write", "agent of another connection")
CALLERS = (*PEOPLE, "signed out", "second factor pending", *AGENTS)
FOR_NO_CALLER_HERE = {CallerKind.SCHEDULER, CallerKind.SCRAPER, CallerKind.PROVIDER}
SELF_CHECKED = {
    ("DELETE", "/api/connections/{connection_id}/members/{user_id}"): "others are removed by an owner only",
}
"""Routes that refuse some of the callers whom their checks let in"""
SIGN_IN, SECOND_STEP = "/signin?next=", "/signin/2fa?next="


class Discarded(Exception):
    """Rolls a unit of work back."""


def discard_writes(database: Database, patch: pytest.MonkeyPatch) -> None:
    """Rolls back what a request has done, after its answer is made and before it is sent."""
    commit = database.unit_of_work

    @asynccontextmanager
    async def roll_back() -> AsyncIterator[WriteSession]:
        with suppress(Discarded):
            async with commit() as session:
                yield session
                raise Discarded

    patch.setattr(database, "unit_of_work", roll_back)


@dataclass(frozen=True)
class Outcome:
    status: int
    code: str
    location: str


@dataclass(frozen=True)
class Matrix:
    """`headers` by caller; cookies of earlier answers are forgotten."""

    team: Team
    http: httpx.AsyncClient
    headers: dict[str, dict[str, str]]

    async def call(self, caller: str, route: RouteAccess) -> Outcome:
        """With no body, and of an endless answer only its head."""
        values = {"connection_id": self.team.connection_id, "table": "public.notes"}
        path = PARAMETER.sub(lambda found: values.get(found[1], UNKNOWN), route.path)
        self.http.cookies.clear()
        request = self.http.build_request(route.method, path, headers=self.headers[caller])
        answer = await self.http.send(request, stream=True)
        code = ""
        if answer.status_code >= 400 and "json" in answer.headers.get("content-type", ""):
            await answer.aread()
            code = str(answer.json().get("code", ""))
        await answer.aclose()
        return Outcome(answer.status_code, code, answer.headers.get("location", ""))


async def make_agent(owner: httpx.AsyncClient, connection_id: str, access: str) -> dict[str, str]:
    body = {"name": access, "access": access}
    answer = await owner.post(f"/api/connections/{connection_id}/agents", json=body)
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}


def read_cookies(client: httpx.AsyncClient) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


@pytest.fixture
async def matrix(
    timed: ServedProduct, clock: StepClock, project: ProjectDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Matrix]:
    team = await make_team(timed, project)
    elsewhere = await team.stranger.post("/api/connections", json={"name": "Other", "postgresUrl": project.dsn})
    half = await turn_on(await timed.sign_up("half@example.com"), "half@example.com", clock)
    await team.sql(
        "INSERT INTO connection_members (connection_id, user_id, role)"
        f" SELECT '{team.connection_id}', id, 'owner' FROM users WHERE email = 'half@example.com'"
    )
    headers = {
        "owner": read_cookies(team.owner),
        "editor": read_cookies(team.editor),
        "viewer": read_cookies(team.viewer),
        "other account": read_cookies(team.stranger),
        "signed out": {},
        "second factor pending": read_cookies(await half.sign_in(timed)),
        "agent read": await make_agent(team.owner, team.connection_id, "read"),
        "agent propose": await make_agent(team.owner, team.connection_id, "propose"),
        "agent write": await make_agent(team.owner, team.connection_id, "write"),
        "agent of another connection": await make_agent(team.stranger, elsewhere.json()["id"], "write"),
    }
    assert set(headers) == set(CALLERS)
    discard_writes(timed.registry.get(Database), monkeypatch)
    address = f"http://127.0.0.1:{timed.port}"
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        yield Matrix(team, http, headers)


def list_routes() -> list[RouteAccess]:
    _, api = make_product()
    return list_route_access(api.routes)


def expect(caller: str, route: RouteAccess) -> str:
    """What the declaration means for this caller: open, refused, unknown, or what is missing."""
    if route.kinds & FOR_NO_CALLER_HERE:
        return "refused"
    if CallerKind.ANYONE in route.kinds:
        return "open"
    if caller not in PEOPLE and caller != "second factor pending":
        return "signed out"
    if caller == "second factor pending":
        return "open" if CallerNeed.WITHOUT_SECOND_FACTOR in route.needs else "half signed in"
    if CallerNeed.OPERATOR in route.needs:
        return "unknown"
    return expect_of_role("" if caller == "other account" else caller, route)


def expect_of_role(role: str, route: RouteAccess) -> str:
    if role == "" and route.role:
        return "unknown"
    return "open" if MEMBER_ROLES.index(role) >= MEMBER_ROLES.index(route.role) else "low role"


def classify(outcome: Outcome, *, is_page: bool) -> str:
    if outcome.code == "mfa_required" or outcome.location.startswith(SECOND_STEP):
        return "half signed in"
    if outcome.status == 401 or outcome.location.startswith(SIGN_IN):
        return "signed out"
    if outcome.status == 403 and (is_page or outcome.code == "forbidden"):
        return "low role"
    return "unknown" if outcome.status == 404 else "open"


def is_as_declared(caller: str, route: RouteAccess, outcome: Outcome) -> bool:
    """An allowed request may still name something that is not there; a page for everyone may lead to another."""
    expected = expect(caller, route)
    found = classify(outcome, is_page=not route.path.startswith(("/api/", "/metrics")))
    if outcome.status >= 500 and outcome.status != 503:
        return False
    if expected == "refused":
        return outcome.status >= 400
    if expected != "open" or found == "open":
        return found == expected
    if (route.method, route.path) in SELF_CHECKED and found == "low role":
        return True
    if CallerKind.ANYONE in route.kinds:
        return found != "low role"
    return found == "unknown" and set(PARAMETER.findall(route.path)) != {"connection_id"}


async def test_every_route_answers_each_caller_as_it_declares(matrix: Matrix) -> None:
    routes, wrong = list_routes(), []
    assert len(routes) > 150
    for caller in sorted(CALLERS, key=PEOPLE.__contains__):  # beside known callers, the answers to others are delayed
        for route in routes:
            outcome = await matrix.call(caller, route)
            if not is_as_declared(caller, route, outcome):
                wrong.append(f"{route.method} {route.path}: {caller}: {expect(caller, route)}, but {outcome}")
    assert wrong == []


DATA_API = {
    "GET": dict.fromkeys(("owner", "editor", "viewer", "agent read", "agent propose", "agent write"), 200),
    "POST": {
        **dict.fromkeys(("owner", "editor", "agent write"), 201),
        **dict.fromkeys(("viewer", "agent read", "agent propose"), 403),
    },
}
REFUSED = {
    "other account": 404,
    "signed out": 401,
    "second factor pending": 401,
    "agent of another connection": 404,
}


async def test_the_data_api_answers_each_caller(matrix: Matrix) -> None:
    path = f"/api/v/{matrix.team.connection_id}/rest/v1/notes"
    for number, caller in enumerate(CALLERS):
        headers = {**matrix.headers[caller], "prefer": "return=minimal"}
        for method, allowed in DATA_API.items():
            body: Any = {"id": number, "body": caller} if method == "POST" else None
            answer = await matrix.http.request(method, path, headers=headers, json=body)
            assert answer.status_code == {**REFUSED, **allowed}[caller], f"{caller}: {answer.text}"


def test_a_route_that_answers_otherwise_is_found() -> None:
    member = frozenset({CallerKind.PERSON, CallerKind.MEMBER})
    route = RouteAccess("GET", "/api/connections/{connection_id}/x", member, "owner", frozenset())
    answers = {
        "owner": (Outcome(200, "", ""), Outcome(404, "not_found", "")),
        "viewer": (Outcome(403, "forbidden", ""), Outcome(200, "", "")),
        "other account": (Outcome(404, "not_found", ""), Outcome(403, "forbidden", "")),
        "signed out": (Outcome(401, "unauthenticated", ""), Outcome(422, "validation_failed", "")),
        "second factor pending": (Outcome(401, "mfa_required", ""), Outcome(401, "unauthenticated", "")),
        "agent write": (Outcome(401, "unauthenticated", ""), Outcome(500, "internal", "")),
    }
    for caller, (right, wrong) in answers.items():
        assert is_as_declared(caller, route, right), caller
        assert not is_as_declared(caller, route, wrong), caller
