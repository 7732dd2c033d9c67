"""The HTTP server around the application."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from uvicorn.supervisors import Multiprocess

from basewarden.app import Addition, create_app, create_app_from_environment
from basewarden.core.allocator import tune_allocator
from basewarden.errors import StartError
from basewarden.settings import Settings
from basewarden.start import export_to_workers
from basewarden.web import RequestBudgets, make_protocol, raise_file_limit
from pgrest.interpreter import tune_interpreter

_BACKLOG = 2048
_GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep an idle connection (httpx 5 s, load balancers 60 s).

Where the server closes first, a request that is sent at that moment is lost, and no client may repeat a write.
"""


def bind(host: str, port: int) -> socket.socket:
    """Opens the listening socket before anything else starts, so that a used port is reported at once."""
    raise_file_limit()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(f"Port {port} of {host} cannot be used: {error.strerror}.") from None
    listener.listen(_BACKLOG)
    return listener


class _ProductServer(uvicorn.Server):
    """Leaves signals to the command: uvicorn would raise each again before anything else is stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(settings: Settings, addition: Addition | None = None) -> uvicorn.Server:
    tune_allocator()
    app = create_app(settings, addition)
    tune_interpreter()
    return _ProductServer(make_config(app, settings))


def make_worker_app() -> object:
    """Makes the application of a worker process."""
    tune_allocator()
    app = create_app_from_environment()
    tune_interpreter()
    return app


@contextlib.asynccontextmanager
async def serving(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serves while the block runs, and finishes running requests at its end, unless it is cancelled."""
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # uvicorn has no event for it
            if task.done():
                await task
                raise StartError("The server could not start. See the lines above.")
            await asyncio.sleep(0.01)
        yield task
    finally:
        server.should_exit = True
        await task


def serve_with_workers(settings: Settings, listener: socket.socket, workers: int) -> None:
    """Blocks. Restarts a worker that dies."""
    export_to_workers(settings)
    config = make_config("basewarden.serve:make_worker_app", settings, factory=True, workers=workers)
    Multiprocess(config, [listener]).run()


async def wait_for_end(server: asyncio.Task[None]) -> None:
    """Waits until the server ends. Cancelling this does not cancel the server."""
    await asyncio.wait([server])
    await server


def make_config(app: object, settings: Settings, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own union of ASGI types does not take ours
        factory=factory,
        workers=workers,
        loop="uvloop",
        http=make_protocol(RequestBudgets.read(settings)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
