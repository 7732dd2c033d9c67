"""Ends a command on a signal by cancelling it, so that everything it has started is stopped."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import uvloop

TERMINATED = 128 + signal.SIGTERM
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """Raised after a signal, when the command has cleaned up."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def make_runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def run_command(command: Coroutine[Any, Any, Any], *, on_terminate: int = TERMINATED) -> None:
    """`on_terminate` is the exit code after SIGTERM. Ctrl-C raises KeyboardInterrupt as usual."""
    try:
        with make_runner() as runner:
            runner.run(until_signal(command))
    except Stopped as stopped:
        exit_by_signal(stopped, on_terminate)


async def until_signal(command: Coroutine[Any, Any, Any]) -> Any:
    """Returns the command's result, or raises Stopped. A second signal cancels the clean-up, too."""
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


def exit_by_signal(stopped: Stopped, on_terminate: int) -> NoReturn:
    if stopped.number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(on_terminate)


def exit_on_terminate() -> None:
    """For code without an event loop: SIGTERM raises SystemExit, which runs every `finally`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
