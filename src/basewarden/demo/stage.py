"""What the demo leaves ready: an account, a connection, an agent token. Made over HTTP, as a person would."""

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

KEPT_FILE = "demo.json"
EMAIL = "demo@basewarden.example"
CONNECTION_NAME = "Lindenrain Coffee"
AGENT_NAME = "Shop assistant"
AGENT_DB_ROLE = "service_role"
MAX_ROWS_PER_WRITE = 20_000
MAX_WRITES_PER_SESSION = 500

Progress = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class Kept:
    """What the demo remembers between starts, in a file that only its owner reads."""

    password: str
    shop_password: str
    shop_dsn: str = ""
    connection_id: str = ""
    agent_token: str = ""


@dataclass(frozen=True, repr=False)
class Stage:
    """`person` is an HTTP client signed in as the demo's account."""

    origin: str
    person: httpx.AsyncClient
    password: Secret
    shop_dsn: Secret
    connection_id: str
    agent_token: Secret

    email: str = EMAIL

    @property
    def api(self) -> str:
        """What a Supabase client takes for a project's address."""
        return f"{self.origin}/api/v/{self.connection_id}"


async def set_stage(origin: str, admin_dsn: str, data_dir: Path, progress: Progress) -> Stage:
    """Makes what is missing and leaves the rest alone."""
    path = data_dir / KEPT_FILE
    kept = _read_kept(path)
    progress("Setting up the demo shop")
    shop = await create_shop(admin_dsn, password=Secret(kept.shop_password), progress=progress)
    person = httpx.AsyncClient(base_url=origin, timeout=60)
    await _sign_in(person, kept.password)
    connection_id = await _provide_connection(person, kept, shop.dsn.reveal())
    token = await _provide_agent(person, kept, connection_id)
    _write_kept(path, Kept(kept.password, kept.shop_password, shop.dsn.reveal(), connection_id, token))
    return Stage(origin, person, Secret(kept.password), shop.dsn, connection_id, Secret(token))


async def _sign_in(person: httpx.AsyncClient, password: str) -> None:
    signup = {"email": EMAIL, "password": password, "name": "Demo"}
    credentials = {"email": EMAIL, "password": password}
    answer = await person.post("/api/auth/signin", json=credentials)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        await _expect(person.post("/api/auth/signup", json=signup))
        answer = await person.post("/api/auth/signin", json=credentials)
    if answer.status_code != httpx.codes.OK:
        raise StartError(
            f"The demo's account {EMAIL} exists with another password; remove the data folder to begin anew."
        )


async def _provide_connection(person: httpx.AsyncClient, kept: Kept, shop_dsn: str) -> str:
    if kept.connection_id:
        path = f"/api/connections/{kept.connection_id}"
        found = await person.get(path)
        if found.status_code == httpx.codes.OK:
            if kept.shop_dsn != shop_dsn:
                await _expect(person.patch(path, json={"postgresUrl": shop_dsn}))
            return kept.connection_id
    wanted = {"name": CONNECTION_NAME, "environment": "production", "postgresUrl": shop_dsn}
    made: dict[str, Any] = (await _expect(person.post("/api/connections", json=wanted))).json()
    return str(made["id"])


async def _provide_agent(person: httpx.AsyncClient, kept: Kept, connection_id: str) -> str:
    if kept.agent_token and kept.connection_id == connection_id:
        async with httpx.AsyncClient(base_url=person.base_url) as agent:
            path = f"/api/v/{connection_id}/rest/v1/products?select=id&limit=1"
            tried = await agent.get(path, headers={"apikey": kept.agent_token})
        if tried.status_code == httpx.codes.OK:
            return kept.agent_token
    wanted = {
        "name": AGENT_NAME,
        "access": "write",
        "dbRole": AGENT_DB_ROLE,
        "maxRowsPerWrite": MAX_ROWS_PER_WRITE,
        "maxWritesPerSession": MAX_WRITES_PER_SESSION,
    }
    made = await _expect(person.post(f"/api/connections/{connection_id}/agents", json=wanted))
    return str(made.json()["token"])


async def _expect(request: Any) -> httpx.Response:
    answer: httpx.Response = await request
    if answer.is_error:
        raise StartError(f"The demo could not be set up: {answer.request.url.path} answered {answer.text}")
    return answer


def _read_kept(path: Path) -> Kept:
    if path.exists():
        return Kept(**json.loads(path.read_text()))
    return Kept(password=f"demo-{secrets.token_urlsafe(9)}", shop_password=secrets.token_urlsafe(24))


def _write_kept(path: Path, kept: Kept) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(kept), file)
    draft.replace(path)
