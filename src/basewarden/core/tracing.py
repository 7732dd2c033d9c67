"""Traces requests to the data API: one span for each step, sent to a collector by OTLP over HTTP.

Without a collector no span is made, and `span` costs one attribute lookup. A span holds names and ids, never a value;
of an error it holds the class.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from basewarden.core.logs import read_log_context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_PATH = "/v1/traces"
T = TypeVar("T")
_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


class _Tracing:
    """The tracer of this process, which is off until `start`."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self._provider: TracerProvider | None = None

    def start(self, endpoint: str, release: str) -> None:
        self._provider = _make_provider(endpoint, release)
        self.tracer = self._provider.get_tracer("basewarden")

    async def stop(self) -> None:
        """Sends the remaining spans; waits for a collector that does not respond as long as the exporter does."""
        provider, self.tracer, self._provider = self._provider, None, None
        if provider is not None:
            await asyncio.to_thread(provider.shutdown)


def _make_provider(endpoint: str, release: str) -> "TracerProvider":
    """Loads the library only here, so that a start without a collector does not wait for it."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above

    resource = Resource.create({"service.name": "basewarden", "service.version": release})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}{_PATH}")))
    return provider


class _NoSpan:
    """Replaces a span if tracing is off."""

    __slots__ = ()

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


_NO_SPAN = _NoSpan()
_tracing = _Tracing()


def start_tracing(endpoint: str | None, release: str) -> None:
    if endpoint:
        _tracing.start(endpoint, release)


async def stop_tracing() -> None:
    await _tracing.stop()


def span(name: str) -> AbstractContextManager[None]:
    """A span around the block; the outermost one of a request also carries the log context."""
    tracer = _tracing.tracer
    return _NO_SPAN if tracer is None else _trace(tracer, name)


def traced(name: str, work: Awaitable[T]) -> Awaitable[T]:
    """`work` within a span. Without a collector it is `work` itself, which costs less than a block."""
    tracer = _tracing.tracer
    return work if tracer is None else _run_traced(tracer, name, work)


async def _run_traced(tracer: "Tracer", name: str, work: Awaitable[T]) -> T:
    with _trace(tracer, name):
        return await work


@contextmanager
def _trace(tracer: "Tracer", name: str) -> Iterator[None]:
    is_outermost = not _is_inside.get()
    token = _is_inside.set(True)
    try:
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise
            finally:
                if is_outermost:
                    span.set_attributes({f"basewarden.{name}": value for name, value in read_log_context().items()})
    finally:
        _is_inside.reset(token)
