"""Structured logs on standard error: one JSON object a line, or readable lines on a terminal.

What a line of a request belongs to (its id, whose it is, which connection and session) is noted once, where it becomes
known, and stands on every line from then on. No line holds a local variable, nor the text of an error that may quote
a row or a secret.
"""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

Facts = dict[str, str]
Report = Callable[[BaseException, Facts], None]
"""Takes an unknown failure elsewhere."""

_facts: ContextVar[Facts | None] = ContextVar("facts", default=None)
_level, _writes_json = logging.INFO, False
_encode = msgspec.json.Encoder().encode
_MOST_CAUSES = 50
# Errors that speak of the code or the machine. The text of any other may be a value that somebody sent or stored.
_PLAIN_SPOKEN = (OSError, TypeError, AttributeError, NameError, ImportError, RuntimeError, AssertionError)
_Event = MutableMapping[str, Any]


class request_facts:  # noqa: N801 - used as `with request_facts(…)`, on the hot path
    """While the block runs. What outlives it, such as a pool that it opened, does not go on in its name."""

    __slots__ = ("_facts", "_token")

    def __init__(self, **facts: str) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._token = _facts.set(self._facts)

    def __exit__(self, *_: object) -> None:
        _facts.reset(self._token)
        self._facts.clear()


def note_facts(**facts: str) -> None:
    """Ids only: never a name, an address or a value."""
    noted = _facts.get()
    if noted is not None:
        noted.update(facts)


def read_facts() -> Facts:
    return _facts.get() or {}


def configure_logs(level: str, report: Report | None = None) -> None:
    """`report` hears of each error that is logged with its exception."""
    global _level, _writes_json  # noqa: PLW0603 - how this process logs
    number = _level = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    readable = sys.stderr.isatty()
    _writes_json = not readable
    render: structlog.typing.Processor
    if readable:
        render = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_facts,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _make_exception_processor(report),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(readable=readable)


class AccessLog:
    """The line of each request: what structlog would write, at a tenth of its cost.

    What comes within one turn of the event loop is written together at its end.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._lines: list[bytes] = []

    def note(self, **values: str | float) -> None:
        if not _writes_json or _level > logging.INFO:
            self._log.info("request", **values)
            return
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._lines.append(
            _encode({**read_facts(), **values, "event": "request", "level": "info", "timestamp": moment})
        )
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write(b"\n".join([*lines, b""]).decode())
        sys.stderr.flush()


def describe_exception(error: BaseException) -> str:
    """Its traceback and those of what led to it, the first cause first; each error once."""
    return "\n\n".join(_describe_parts(error, set()))


def _describe_parts(error: BaseException, seen: set[int]) -> list[str]:
    """`seen` are the ids of errors that are described already: an error may be its own cause."""
    if id(error) in seen or len(seen) >= _MOST_CAUSES:
        return []
    seen.add(id(error))
    stack = "".join(traceback.format_tb(error.__traceback__))
    parts = [f"{stack}{type(error).__qualname__}{_describe_message(error)}"]
    if isinstance(error, BaseExceptionGroup):
        parts += [part for inner in error.exceptions for part in _describe_parts(inner, seen)]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [*_describe_parts(cause, seen), *parts] if cause is not None else parts


def _describe_message(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(state, str):
        return f": SQLSTATE {state}"
    return f": {str(error)[:500]}" if isinstance(error, _PLAIN_SPOKEN) else ""


def _add_facts(_logger: Any, _method: str, event: _Event) -> _Event:
    return {**read_facts(), **event}


def _make_exception_processor(report: Report | None) -> structlog.typing.Processor:
    def process(_logger: Any, _method: str, event: _Event) -> _Event:
        error = _find_exception(event.pop("exc_info", None))
        if error is not None:
            event["exception"] = describe_exception(error)
            if report is not None and event["level"] in ("error", "critical"):
                report(error, read_facts())
        return event

    return process


def _find_exception(given: Any) -> BaseException | None:
    """Of whatever structlog and logging take for `exc_info`."""
    if given is True:
        return sys.exc_info()[1]
    if isinstance(given, tuple):
        given = given[1]
    return given if isinstance(given, BaseException) else None


class JSONLines(logging.Formatter):
    """What libraries log, in the form of our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": _first_line(record),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        error = _find_exception(record.exc_info)
        return json.dumps(line if error is None else {**line, "exception": describe_exception(error)})


def _first_line(record: logging.LogRecord) -> str:
    """The lines after it, of asyncio above all, say what the task was and quote its error."""
    return record.getMessage().partition("\n")[0]


def _configure_libraries(*, readable: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(levelname)s %(name)s %(message)s")
    handler.setFormatter(plain if readable else JSONLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("uvicorn.access").disabled = True
