"""One serving process: requests and the admin server on one event loop, signals, and a clean end."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
import uvloop

from pgrest.interpreter import tune_interpreter
from pgrest.server.admin import AdminServer
from pgrest.server.app import RestServer
from pgrest.server.log import Log
from pgrest.server.protocol import RestProtocol
from pgrest.server.shared_metrics import SharedMetrics
from pgrest.settings import ServerSettings, Source

GRACE_SECONDS = 10
"""How long requests that are under way may take once the server is asked to stop."""
STOPPED, GAVE_UP, INTERRUPTED = 0, 1, 130
_KEEP_ALIVE_SECONDS = 30
_FIGURES_SECONDS = 1.0
_LAST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ProcessContext:
    """What a process serves with. `worker` is its row of the board; only the one with an admin socket answers there."""

    settings: ServerSettings
    source: Source
    log: Log
    board: SharedMetrics
    worker: int
    listener: socket.socket
    admin: socket.socket | None
    software: str
    """Name and version, for the Server header."""
    lifeline: int | None = None
    """A pipe that ends when the process that supervises this one does."""


def serve(place: ProcessContext) -> int:
    """Until a signal, or until going on makes no sense; the exit code says which."""
    logging.getLogger("uvicorn.error").setLevel(logging.INFO if place.log.shows("debug") else logging.ERROR)
    tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(place).run())


class _Process:
    def __init__(self, place: ProcessContext) -> None:
        self._place = place
        self._exit_code = STOPPED
        self._app = RestServer(
            place.settings,
            source=place.source,
            log=place.log,
            row=place.board.row(place.worker),
            give_up=self._give_up,
        )
        self._servers = [_make_server(self._app, place.listener, place.software)]
        if place.admin is not None:
            admin = AdminServer(self._app.live, place.board, place.listener)
            self._servers.append(_make_server(admin, place.admin, place.software))

    async def run(self) -> int:
        live = self._app.live
        self._take_signals()
        live.start()
        posting = asyncio.create_task(self._post_figures())
        try:
            await asyncio.gather(*(server.serve() for server in self._servers))
        finally:
            posting.cancel()
            for request in [task for server in self._servers for task in server.server_state.tasks]:
                request.cancel()
            await live.stop()
            await _let_end()
        return self._exit_code

    def _take_signals(self) -> None:
        loop, live = asyncio.get_running_loop(), self._app.live
        for number, exit_code in ((signal.SIGTERM, STOPPED), (signal.SIGINT, INTERRUPTED)):
            loop.add_signal_handler(number, self._heed, number, exit_code)
        loop.add_signal_handler(signal.SIGUSR1, live.want_schema)
        loop.add_signal_handler(signal.SIGUSR2, live.want_config)
        if self._place.lifeline is not None:
            loop.add_reader(self._place.lifeline, self._lose_lifeline)

    def _heed(self, number: signal.Signals, exit_code: int) -> None:
        self._place.log.write(f"Received termination unix signal {number.name}")
        self._stop(exit_code)

    def _lose_lifeline(self) -> None:
        if self._place.lifeline is not None:
            asyncio.get_running_loop().remove_reader(self._place.lifeline)
        self._stop(STOPPED)

    def _stop(self, exit_code: int) -> None:
        """Asked a second time it does not wait for requests."""
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True
        self._exit_code = self._exit_code or exit_code

    def _give_up(self, _: str) -> None:
        self._stop(GAVE_UP)

    async def _post_figures(self) -> None:
        """For the worker that answers for all."""
        while True:
            self._app.live.post_figures()
            await asyncio.sleep(_FIGURES_SECONDS)


async def _let_end() -> None:
    """Requests that were cut short have asked the database to stop their statements; that takes a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_SECONDS):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)


class _HttpServer(uvicorn.Server):
    """Signals are the process's, not each server's."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._listener])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _make_server(app: object, listener: socket.socket, software: str) -> _HttpServer:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own union of ASGI types does not take ours
        http=RestProtocol,
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", software)],
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _HttpServer(config, listener)
