"""Reports unexpected errors to Sentry: the class of the error, its place in the code, and the ids of the request.

The library's integrations are off, and every event is made here. No error text, variable, header, cookie, body, query
or SQL is sent.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from basewarden.core.secret import Secret

_FLUSH_SECONDS = 2.0
_KEPT = frozenset(
    {"event_id", "timestamp", "platform", "level", "release", "environment", "sdk", "exception", "tags", "user"}
)
_KEPT_OF_FRAME = frozenset({"filename", "abs_path", "module", "function", "lineno", "in_app", "context_line"})


class Reporter:
    """Sends errors to Sentry, or does nothing without a DSN."""

    def __init__(self, dsn: Secret | None, release: str) -> None:
        self._client = _make_client(dsn, release) if dsn else None

    def report(self, error: BaseException, context: Mapping[str, str]) -> None:
        """Returns at once; a thread of the library sends the event."""
        if self._client is None:
            return
        from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 - loaded only where there is a DSN

        event, hint = event_from_exception(error, client_options=self._client.options)
        event["tags"] = {name: value for name, value in context.items() if name != "user"}
        if "user" in context:
            event["user"] = {"id": context["user"]}
        self._client.capture_event(event, hint=hint)

    async def stop(self) -> None:
        if self._client is not None:
            await asyncio.to_thread(self._client.close, timeout=_FLUSH_SECONDS)


def _make_client(dsn: Secret, release: str) -> Any:
    """The library sends no personal data by default; setting that option causes a deprecation warning."""
    from sentry_sdk import Client  # noqa: PLC0415 - loaded only where there is a DSN

    return Client(
        dsn=dsn.reveal(),
        release=release,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_client_reports=False,
        before_send=scrub_event,
    )


def scrub_event(event: Any, _hint: Any = None) -> Any:
    """Keeps only the listed fields, so that nothing is sent which a newer library adds."""
    event = {name: value for name, value in event.items() if name in _KEPT}
    for exception in event.get("exception", {}).get("values", []):
        exception["value"] = ""  # it may quote a row or a secret
        exception.pop("mechanism", None)
        stack = exception.get("stacktrace") or {}
        stack["frames"] = [
            {name: value for name, value in frame.items() if name in _KEPT_OF_FRAME}
            for frame in stack.get("frames", [])
        ]
    return event
