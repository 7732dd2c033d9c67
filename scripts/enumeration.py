"""Whether time tells who has an account: `python -m scripts.enumeration --requests 200`.

Asks a served product about addresses that it knows and about ones that it does not, in shuffled order, and compares
how long the answers take. Passwords are hashed cheaply here, so that hashing hides nothing else.

`overlap` is the chance that an answer about an unknown address took longer than one about a known address: 0.50 is
no difference at all, 0 or 1 a perfect tell.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from basewarden.accounts import Limit
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.db.embedded import start_embedded
from basewarden.db.migrations.migrate import migrate
from basewarden.jobs import count_waiting
from tests.fixtures.app import PASSWORD, ServedProduct, make_settings, serve_product, tight_limits
from tests.fixtures.mail import open_postbox
from tests.fixtures.ports import open_listener

ROOMY = Limit(1_000_000, 3600)
LIMITS = tight_limits(
    signin_address=ROOMY,
    signin_account=ROOMY,
    signin_total=ROOMY,
    signup_address=ROOMY,
    signup_total=ROOMY,
    forgot_address=ROOMY,
)
Ask = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Times:
    """The seconds that every answer took."""

    known: list[float]
    unknown: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.unknown) / statistics.median(self.known)

    @property
    def overlap(self) -> float:
        """Mann and Whitney's U, as a share of all pairs."""
        longer = sum((slow > fast) + (slow == fast) / 2 for slow in self.unknown for fast in self.known)
        return longer / (len(self.known) * len(self.unknown))


async def ask_forgot(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post("/api/account/forgot-password", json={"email": email})


async def ask_signup(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post("/api/auth/signup", json={"email": email, "password": "another walk in the snow"})


async def ask_signin(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post("/api/auth/signin", json={"email": email, "password": "a wrong walk in the rain"})


ASKED: dict[str, Ask] = {"forgot-password": ask_forgot, "sign-up": ask_signup, "sign-in": ask_signin}


@asynccontextmanager
async def passable_folder() -> AsyncIterator[Path]:
    """Makes a folder whose parent the server's user can enter when we are root."""
    with tempfile.TemporaryDirectory(prefix="basewarden-") as name:
        await asyncio.to_thread(Path(name).chmod, 0o711)
        yield Path(name)


@asynccontextmanager
async def serving() -> AsyncIterator[ServedProduct]:
    async with open_postbox() as postbox, passable_folder() as folder:
        server = await start_embedded(folder / "data", progress=lambda _: None)
        try:
            await server.create_database("enumeration", template="template1")
            dsn = server.dsn("enumeration")
            await asyncio.to_thread(migrate, Secret(dsn))
            listener = open_listener()
            origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
            settings = make_settings(dsn, origin).model_copy(update={**postbox.settings(), "log_level": "error"})
            async with serve_product(settings, listener, limits=LIMITS) as product:
                yield product
        finally:
            await server.stop()


async def sign_up_people(client: httpx.AsyncClient, what: str, count: int) -> list[str]:
    """Signs up people for one question, so that its emails do not use up another one's limits."""
    emails = [f"{what}.{number}@known.example.com" for number in range(count)]
    for email in emails:
        account = {"email": email, "password": PASSWORD}
        (await client.post("/api/auth/signup", json=account)).raise_for_status()
    return emails


async def wait_for_jobs(product: ServedProduct) -> None:
    database = product.registry.get(Database)
    while True:
        async with database.read_only() as session:
            if await count_waiting(session) == 0:
                return
        await asyncio.sleep(0.1)


async def measure(product: ServedProduct, what: str, count: int) -> Times:
    """Asks about each address once, as an attacker would."""
    client = await product.client()
    known = await sign_up_people(client, what, count)
    unknown = [email.replace("@known", "@nobody") for email in known]
    order = [(email, True) for email in known] + [(email, False) for email in unknown]
    random.shuffle(order)
    await wait_for_jobs(product)
    times = Times([], [])
    for email, is_known in order:
        began = time.perf_counter()
        answer = await ASKED[what](client, email)
        (times.known if is_known else times.unknown).append(time.perf_counter() - began)
        assert answer.status_code in {200, 201, 401}, answer.text
    return times


def describe(what: str, times: Times) -> str:
    def figures(seconds: list[float]) -> str:
        tenths = statistics.quantiles(seconds, n=10)
        return f"{statistics.median(seconds) * 1000:8.2f} {tenths[-1] * 1000:8.2f}"

    return f"{what:16}{figures(times.known)}   {figures(times.unknown)}   {times.ratio:6.3f} {times.overlap:8.3f}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200, help="of each kind, known and unknown (default 200)")
    options = parser.parse_args()
    print(f"{options.requests} requests each; milliseconds")
    print(f"{'':16}{'known':>8} {'p90':>8}   {'unknown':>8} {'p90':>8}   {'ratio':>6} {'overlap':>8}")
    async with serving() as product:
        for what in ASKED:
            print(describe(what, await measure(product, what, options.requests)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
