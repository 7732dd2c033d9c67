"""How a command ends by a signal: it is cancelled, so that everything that it has started is stopped on the way."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import uvloop

TERMINATED = 128 + signal.SIGTERM
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """A signal has come, and the command has cleaned up."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def make_runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def run_command(command: Coroutine[Any, Any, Any], *, on_terminate: int = TERMINATED) -> None:
    """`on_terminate`: the exit code where SIGTERM ended it. Ctrl-C is a KeyboardInterrupt, as ever."""
    try:
        with make_runner() as runner:
            runner.run(until_signal(command))
    except Stopped as stopped:
        leave(stopped, on_terminate)


async def until_signal(command: Coroutine[Any, Any, Any]) -> Any:
    """The command's result, or Stopped. A second signal also cuts short the cleaning up that waits for others."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[signal.Signals] = []
    assert task is not None

    def stop(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await command
    except asyncio.CancelledError:
        if not received:
            raise
        raise Stopped(received[0]) from None
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def leave(stopped: Stopped, on_terminate: int) -> NoReturn:
    if stopped.number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(on_terminate)


def exit_on_terminate() -> None:
    """Where no event loop runs: SIGTERM leaves by way of every `finally`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
