"""Prepares the demo over HTTP, as a person would: an account, a connection and an agent's token."""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from basewarden.core.secret import Secret
from basewarden.demo.shop import create_shop
from basewarden.errors import StartError

STATE_FILE = "demo.json"
EMAIL = "demo@basewarden.example"
CONNECTION_NAME = "Lindenrain Coffee"
AGENT_NAME = "Shop assistant"
AGENT_DB_ROLE = "service_role"
MAX_ROWS_PER_WRITE = 20_000
MAX_WRITES_PER_SESSION = 500

Progress = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class SavedDemo:
    """What the demo stores between starts, in a file that only its owner can read."""

    password: str
    shop_password: str
    shop_dsn: str = ""
    connection_id: str = ""
    agent_token: str = ""


@dataclass(frozen=True, repr=False)
class DemoData:
    """The prepared demo. `person` is an HTTP client that is signed in to its account; `is_new` = made by this start."""

    origin: str
    person: httpx.AsyncClient
    password: Secret
    shop_dsn: Secret
    connection_id: str
    agent_token: Secret
    is_new: bool

    email: str = EMAIL

    @property
    def api(self) -> str:
        """The URL that a Supabase client takes for the project's."""
        return f"{self.origin}/api/v/{self.connection_id}"


async def prepare_demo_data(origin: str, admin_dsn: str, data_dir: Path, progress: Progress) -> DemoData:
    """Creates what is missing, and keeps the rest."""
    path = data_dir / STATE_FILE
    saved = _read_saved(path)
    progress("Setting up the demo shop")
    shop = await create_shop(admin_dsn, password=Secret(saved.shop_password), progress=progress)
    person = httpx.AsyncClient(base_url=origin, timeout=60, headers={"user-agent": "basewarden-demo"})
    await _sign_in(person, saved.password)
    connection_id = await _ensure_connection(person, saved, shop.dsn.reveal())
    token = await _ensure_agent(person, saved, connection_id)
    _write_saved(path, SavedDemo(saved.password, saved.shop_password, shop.dsn.reveal(), connection_id, token))
    is_new = connection_id != saved.connection_id
    return DemoData(origin, person, Secret(saved.password), shop.dsn, connection_id, Secret(token), is_new)


async def _sign_in(person: httpx.AsyncClient, password: str) -> None:
    signup = {"email": EMAIL, "password": password, "name": "Demo"}
    credentials = {"email": EMAIL, "password": password}
    answer = await person.post("/api/auth/signin", json=credentials)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        await check_response(person.post("/api/auth/signup", json=signup))
        answer = await person.post("/api/auth/signin", json=credentials)
    if answer.status_code != httpx.codes.OK:
        raise StartError(
            f"The demo's account {EMAIL} exists with another password; remove the data folder to start again."
        )


async def _ensure_connection(person: httpx.AsyncClient, saved: SavedDemo, shop_dsn: str) -> str:
    if saved.connection_id:
        path = f"/api/connections/{saved.connection_id}"
        found = await person.get(path)
        if found.status_code == httpx.codes.OK:
            if saved.shop_dsn != shop_dsn:
                await check_response(person.patch(path, json={"postgresUrl": shop_dsn}))
            return saved.connection_id
    wanted = {"name": CONNECTION_NAME, "environment": "production", "postgresUrl": shop_dsn}
    made: dict[str, Any] = (await check_response(person.post("/api/connections", json=wanted))).json()
    return str(made["id"])


async def _ensure_agent(person: httpx.AsyncClient, saved: SavedDemo, connection_id: str) -> str:
    if saved.agent_token and saved.connection_id == connection_id:
        async with httpx.AsyncClient(base_url=person.base_url) as agent:
            path = f"/api/v/{connection_id}/rest/v1/products?select=id&limit=1"
            tried = await agent.get(path, headers={"apikey": saved.agent_token})
        if tried.status_code == httpx.codes.OK:
            return saved.agent_token
    wanted = {
        "name": AGENT_NAME,
        "access": "write",
        "dbRole": AGENT_DB_ROLE,
        "maxRowsPerWrite": MAX_ROWS_PER_WRITE,
        "maxWritesPerSession": MAX_WRITES_PER_SESSION,
    }
    made = await check_response(person.post(f"/api/connections/{connection_id}/agents", json=wanted))
    return str(made.json()["token"])


async def check_response(request: Any) -> httpx.Response:
    answer: httpx.Response = await request
    if answer.is_error:
        raise StartError(f"The demo could not be set up: {answer.request.url.path} answered {answer.text}")
    return answer


def _read_saved(path: Path) -> SavedDemo:
    if path.exists():
        return SavedDemo(**json.loads(path.read_text()))
    return SavedDemo(password=f"demo-{secrets.token_urlsafe(9)}", shop_password=secrets.token_urlsafe(24))


def _write_saved(path: Path, saved: SavedDemo) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(saved), file)
    draft.replace(path)
