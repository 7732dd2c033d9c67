"""Structured logs on standard error: one JSON object a line, or readable lines on a terminal.

What a request belongs to (its id, its caller, connection and session) is bound once, where it becomes known, and is
part of every later line. No line holds a local variable, nor the text of an error that may quote a row or a secret.
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

LogContext = dict[str, str]
Report = Callable[[BaseException, LogContext], None]
"""Reports an unexpected error elsewhere."""

_context: ContextVar[LogContext | None] = ContextVar("log_context", default=None)
_level, _writes_json = logging.INFO, False
_encode = msgspec.json.Encoder().encode
_MOST_CAUSES = 50
# Their text is about the code or the machine. The text of any other error may be a value that was sent or stored.
_SAFE_ERRORS = (OSError, TypeError, AttributeError, NameError, ImportError, RuntimeError, AssertionError)
_Event = MutableMapping[str, Any]


class log_context:  # noqa: N801 - used as `with log_context(…)`, on the hot path
    """Holds for the block. What outlives the block, such as a pool that it opened, logs without this context."""

    __slots__ = ("_context", "_token")

    def __init__(self, **context: str) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _context.set(self._context)

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)
        self._context.clear()


def bind_log_context(**ids: str) -> None:
    """Adds ids to the lines of this request. Never pass a name, an address or a value."""
    context = _context.get()
    if context is not None:
        context.update(ids)


def read_log_context() -> LogContext:
    return _context.get() or {}


def configure_logs(level: str, report: Report | None = None) -> None:
    """`report` gets each error that is logged with its exception."""
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
            _add_context,
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
    """Writes one line for each request, as structlog would, at a tenth of its cost.

    The lines of one iteration of the event loop have one timestamp, and are written together at its end.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._lines: list[bytes] = []
        self._moment = ""

    def note(self, **values: str | float) -> None:
        if not _writes_json or _level > logging.INFO:
            self._log.info("request", **values)
            return
        if not self._lines:
            self._moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(
            _encode({**read_log_context(), **values, "event": "request", "level": "info", "timestamp": self._moment})
        )

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write(b"\n".join([*lines, b""]).decode())
        sys.stderr.flush()


def describe_exception(error: BaseException) -> str:
    """The tracebacks of an error and of its causes, the first cause first; each error once."""
    return "\n\n".join(_describe_parts(error, set()))


def _describe_parts(error: BaseException, seen: set[int]) -> list[str]:
    """`seen` are the ids of the errors that are described already, since an error may be its own cause."""
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
    return f": {str(error)[:500]}" if isinstance(error, _SAFE_ERRORS) else ""


def _add_context(_logger: Any, _method: str, event: _Event) -> _Event:
    return {**read_log_context(), **event}


def _make_exception_processor(report: Report | None) -> structlog.typing.Processor:
    def process(_logger: Any, _method: str, event: _Event) -> _Event:
        error = _find_exception(event.pop("exc_info", None))
        if error is not None:
            event["exception"] = describe_exception(error)
            if report is not None and event["level"] in ("error", "critical"):
                report(error, read_log_context())
        return event

    return process


def _find_exception(given: Any) -> BaseException | None:
    """Reads `exc_info` in each form that structlog and logging accept."""
    if given is True:
        return sys.exc_info()[1]
    if isinstance(given, tuple):
        given = given[1]
    return given if isinstance(given, BaseException) else None


class JSONLines(logging.Formatter):
    """Formats what libraries log like our own lines."""

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
    """Leaves out the other lines: those of asyncio describe the task and quote its error."""
    return record.getMessage().partition("\n")[0]


def _configure_libraries(*, readable: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(levelname)s %(name)s %(message)s")
    handler.setFormatter(plain if readable else JSONLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("uvicorn.access").disabled = True
