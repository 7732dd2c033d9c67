"""Traces of the data road: how long each stage of a request took, sent to a collector by OTLP over HTTP.

Where no collector is set nothing is made: a stage costs one look at a name. A span holds names and ids, never a value;
of an error it tells the class.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from basewarden.core.logs import read_facts

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_PATH = "/v1/traces"
_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


class _Tracing:
    """The process's own. It is off until `start`."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self._provider: TracerProvider | None = None

    def start(self, endpoint: str, release: str) -> None:
        self._provider = _make_provider(endpoint, release)
        self.tracer = self._provider.get_tracer("basewarden")

    async def stop(self) -> None:
        """Sends what is left; waits for a collector that does not answer no longer than the exporter does."""
        provider, self.tracer, self._provider = self._provider, None, None
        if provider is not None:
            await asyncio.to_thread(provider.shutdown)


def _make_provider(endpoint: str, release: str) -> "TracerProvider":
    """The library is loaded here and not before: without a collector a start must not wait for it."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above

    resource = Resource.create({"service.name": "basewarden", "service.version": release})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}{_PATH}")))
    return provider


class _Nothing:
    """The stage of a process that traces nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


_NOTHING = _Nothing()
_tracing = _Tracing()


def start_tracing(endpoint: str | None, release: str) -> None:
    if endpoint:
        _tracing.start(endpoint, release)


async def stop_tracing() -> None:
    await _tracing.stop()


def stage(name: str) -> AbstractContextManager[None]:
    """A span around the block; the outermost of a request also carries what the log's lines carry."""
    tracer = _tracing.tracer
    return _NOTHING if tracer is None else _trace(tracer, name)


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
                    span.set_attributes({f"basewarden.{fact}": value for fact, value in read_facts().items()})
    finally:
        _is_inside.reset(token)
