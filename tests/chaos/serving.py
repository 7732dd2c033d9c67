"""The product as an operator runs it: a process of its own, which can be killed."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.secrets.plugin import the_recorder

CHECKOUT = Path(__file__).parents[2]
STOP_SECONDS = 60.0
READY = "Basewarden is running at"
READY_SECONDS = 60


@dataclass(frozen=True)
class Deployment:
    """What stays the same between starts. `said` is all that its processes wrote to standard error."""

    database_url: str = field(repr=False)
    port: int
    encryption_key: str = field(repr=False, default_factory=lambda: base64.b64encode(os.urandom(32)).decode())
    secret: str = field(repr=False, default_factory=lambda: os.urandom(32).hex())
    said: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT / "src"),
            "DATABASE_URL": self.database_url,
            "BASEWARDEN_ORIGIN": self.origin,
            "BASEWARDEN_SECRET": self.secret,
            "BASEWARDEN_ENCRYPTION_KEY": self.encryption_key,
            "BASEWARDEN_ALLOW_PRIVATE_ADDRESSES": "1",
            "BASEWARDEN_LOG_LEVEL": "warning",
        }


class Serving:
    """One `basewarden serve`."""

    def __init__(self, process: asyncio.subprocess.Process, said: list[str]) -> None:
        self._process = process
        self._said = said
        self._ready = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, deployment: Deployment) -> "Serving":
        """Returns when it answers."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "basewarden", "serve", "--port", str(deployment.port)),
            cwd=CHECKOUT,
            env=deployment.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        serving = cls(process, deployment.said)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await serving._ready.wait()
        except TimeoutError:
            await serving.kill()
            raise
        if process.returncode is not None:
            raise RuntimeError("the product did not start: " + "".join(deployment.said[-10:]))
        return serving

    async def kill(self) -> None:
        """kill -9: no word of farewell, and the machine goes on."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._listening

    async def stop(self) -> int:
        """A shutdown that hangs is killed, and a failure."""
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait({self._listening}, timeout=STOP_SECONDS)
        if not self._listening.done():
            await self.kill()
            raise RuntimeError(f"the product did not stop in {STOP_SECONDS:.0f} s: " + "".join(self._said[-10:]))
        await self._listening
        return await self._process.wait()

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._said.append(line.decode())
            the_recorder.record("basewarden serve", line)
            if READY in self._said[-1]:
                self._ready.set()
        await self._process.wait()
        self._ready.set()


@asynccontextmanager
async def serving(deployment: Deployment) -> AsyncIterator[Serving]:
    """Serves while the block runs, unless it is killed there."""
    process = await Serving.start(deployment)
    try:
        yield process
    finally:
        await process.stop()
