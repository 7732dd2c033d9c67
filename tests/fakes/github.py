"""A GitHub of the tests' own: a real HTTP server on loopback that speaks and checks its protocol, and fails on request."""

import asyncio
import base64
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from basewarden.core.secret import Secret
from tests.fixtures.app import CERTIFICATES, Serve, ServedProduct
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving

CLIENT_ID = "Iv1.5f1d3c7a9b2e4d60"
CLIENT_SECRET = "a-client-secret-of-the-tests-9f27"


@dataclass
class GitHubPerson:
    """Who is signed in at GitHub in the browser at hand. `emails` None: the token may not see them."""

    id: int
    login: str
    name: str | None = None
    emails: list[dict[str, Any]] | None = field(default_factory=list)


def make_person(id: int, login: str, email: str | None = None, name: str | None = None) -> GitHubPerson:  # noqa: A002 - GitHub's name
    """With one verified primary address, or none at all."""
    emails = [{"email": email, "primary": True, "verified": True, "visibility": None}] if email else []
    return GitHubPerson(id, login, name, emails)


@dataclass(frozen=True)
class _Grant:
    person: GitHubPerson
    redirect_uri: str
    challenge: str


@dataclass
class FakeGitHub:
    """`person` None: the person denies the authorization. `fail` is taken by one call of that path each, in order.

    A failure is an int (that status, as HTML), "hang", "not json", or a dict (sent with a 200, as GitHub does).
    `meanwhile` is what happens while the product waits to learn who the person is.
    """

    url: str = ""
    person: GitHubPerson | None = None
    meanwhile: Callable[[], Awaitable[object]] | None = None
    seen: list[str] = field(default_factory=list)
    authorized: list[dict[str, str]] = field(default_factory=list)
    tokens: dict[str, GitHubPerson] = field(default_factory=dict)
    _grants: dict[str, _Grant] = field(default_factory=dict)
    _failures: dict[str, deque[Any]] = field(default_factory=dict)
    _hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def settings(self) -> dict[str, Any]:
        """For `serve(…)`: the changes to the settings."""
        return {"github_id": CLIENT_ID, "github_secret": Secret(CLIENT_SECRET), "github_base_url": self.url}

    def fail(self, path: str, *answers: Any) -> None:
        self._failures.setdefault(path, deque()).extend(answers)

    def release(self) -> None:
        self._hanging.set()

    async def authorize(self, request: Request) -> Response:
        """Shows no page: answers at once as `person` would."""
        asked = dict(request.query_params)
        self.authorized.append(asked)
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return PlainTextResponse("unknown application", 404)
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            return PlainTextResponse("no challenge", 400)
        if self.person is None:
            back = {"error": "access_denied", "error_description": "The user has denied your application access."}
            return _go_back(asked, back)
        code = secrets.token_hex(10)
        self._grants[code] = _Grant(self.person, asked["redirect_uri"], asked["code_challenge"])
        return _go_back(asked, {"code": code})

    async def exchange(self, request: Request) -> Response:
        if (failure := await self._fail(request)) is not None:
            return failure
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return JSONResponse({"error": "incorrect_client_credentials", "error_description": "They are incorrect."})
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or not _is_answer(grant.challenge, form.get("code_verifier", "")):
            return JSONResponse({"error": "bad_verification_code", "error_description": "It is incorrect or expired."})
        if form.get("redirect_uri") != grant.redirect_uri:
            return JSONResponse({"error": "redirect_uri_mismatch", "error_description": "It must match."})
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = grant.person
        return JSONResponse({"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"})

    async def get_user(self, request: Request) -> Response:
        if self.meanwhile is not None:
            await self.meanwhile()
        person, failure = await self._find(request)
        if person is None:
            return failure
        return JSONResponse({"id": person.id, "login": person.login, "name": person.name, "type": "User"})

    async def get_emails(self, request: Request) -> Response:
        person, failure = await self._find(request)
        if person is None:
            return failure
        if person.emails is None:
            return JSONResponse({"message": "Not Found"}, 404)
        return JSONResponse(person.emails)

    async def _find(self, request: Request) -> tuple[GitHubPerson | None, Response]:
        if (failure := await self._fail(request)) is not None:
            return None, failure
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token), JSONResponse({"message": "Bad credentials"}, 401)

    async def _fail(self, request: Request) -> Response | None:
        self.seen.append(request.url.path)
        waiting = self._failures.get(request.url.path)
        if not waiting:
            return None
        answer = waiting.popleft()
        if answer == "hang":
            await self._hanging.wait()
            return PlainTextResponse("too late")
        if isinstance(answer, int):
            return PlainTextResponse("<h1>Unicorn!</h1>", answer, media_type="text/html")
        return PlainTextResponse("{", media_type="application/json") if answer == "not json" else JSONResponse(answer)


def _go_back(asked: dict[str, str], answer: dict[str, str]) -> Response:
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}", 302)


def _is_answer(challenge: str, verifier: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return 43 <= len(verifier) <= 128 and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge


TOKEN_PATH, USER_PATH, EMAILS_PATH = "/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"


@asynccontextmanager
async def open_github() -> AsyncIterator[FakeGitHub]:
    github = FakeGitHub()
    routes = [
        Route("/login/oauth/authorize", github.authorize),
        Route(TOKEN_PATH, github.exchange, methods=["POST"]),
        Route(USER_PATH, github.get_user),
        Route(EMAILS_PATH, github.get_emails),
    ]
    listener = open_listener()
    github.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving(Starlette(routes=routes), listener):
        try:
            yield github
        finally:
            github.release()


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with open_github() as github:
        yield github


@pytest.fixture
async def with_github(serve: Serve, github: FakeGitHub) -> ServedProduct:
    """A product that this GitHub signs people in to."""
    return await serve(github.settings())


@dataclass(frozen=True)
class StartedFlow:
    """One browser's way to GitHub; `back` is the address it is sent back to."""

    back: str

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.back.partition("?")[2]).items()}

    def change(self, **parts: str) -> str:
        """The same way back with other parts."""
        return f"{self.back.partition('?')[0]}?{urlencode({**self.query, **parts})}"


async def visit(url: str) -> StartedFlow:
    """At GitHub, where the browser sends none of our cookies."""
    async with httpx.AsyncClient(trust_env=False, verify=CERTIFICATES) as outside:
        answer = await outside.get(url)
    assert answer.status_code == 302, answer.text
    return StartedFlow(answer.headers["location"])


async def start_flow(browser: httpx.AsyncClient, path: str = "/api/auth/github/start") -> StartedFlow:
    """As far as the address that GitHub sends back to; it is not opened yet."""
    answer = await browser.get(path)
    assert answer.status_code == 303, answer.text
    return await visit(answer.headers["location"])


async def complete_flow(browser: httpx.AsyncClient, path: str = "/api/auth/github/start") -> str:
    """All the way; where the browser ends."""
    return await finish_flow(browser, (await start_flow(browser, path)).back)


async def finish_flow(browser: httpx.AsyncClient, back: str) -> str:
    answer = await browser.get(back)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])
