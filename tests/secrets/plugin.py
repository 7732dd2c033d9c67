"""Records the whole run for `test_leaks.py`, which it puts last.

Listens at the product's own edge (every answer of every product that tests serve in this process), at pytest's
reports (log lines, tracebacks, error texts) and where `Secret` is made (every credential, whatever it is for).
"""

import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # it ships no types

from basewarden.core.secret import Secret
from basewarden.web.edge import Edge
from tests.secrets.recorder import RunRecorder

LAST = "test_leaks.py"
OWN = "tests/secrets/"  # plants canaries on purpose
EMAIL = re.compile(r"[\w.]+@[\w.]+")
COOKIE = "session-token="
CALLING = re.compile(r"tests/(accounts/test_(?:passwords|totp)\.py|contract/).* \(call\)", re.DOTALL)
"""The bodies of tests whose passwords are words or generated text."""
GUESSED = frozenset(FREQUENCY_LISTS["passwords"])
RECORDER = pytest.StashKey[RunRecorder]()
the_recorder = RunRecorder()

Send = Callable[[Any], Awaitable[None]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDER] = the_recorder
    patch = pytest.MonkeyPatch()
    _listen_at_edge(patch)
    _listen_where_secrets_are_made(patch)
    config.add_cleanup(patch.undo)
    config.add_cleanup(the_recorder.close)


def _listen_at_edge(patch: pytest.MonkeyPatch) -> None:
    serve = Edge.__call__

    async def serve_and_record(edge: Edge, scope: Any, receive: Any, send: Send) -> None:
        await serve(edge, scope, receive, _recording(scope, send) if scope["type"] == "http" else send)

    patch.setattr(Edge, "__call__", serve_and_record)


def _recording(scope: Any, send: Send) -> Send:
    where = f"{scope['method']} {scope['path']}"

    async def record_and_send(message: Any) -> None:
        if message["type"] == "http.response.start":
            for name, value in message["headers"]:
                if name.lower() == b"set-cookie":
                    _note_cookie(value.decode("latin-1"))
                else:
                    the_recorder.record(where, name + b": " + value + b"\n")
        else:
            the_recorder.record(where, message.get("body", b"") + b"\n")
        await send(message)

    return record_and_send


def _note_cookie(header: str) -> None:
    pair = header.partition(";")[0]
    if COOKIE in pair:
        the_recorder.add_secret("a sign-in session's cookie", pair.partition(COOKIE)[2])


def _listen_where_secrets_are_made(patch: pytest.MonkeyPatch) -> None:
    make = Secret.__init__

    def make_and_note(secret: Secret, value: str) -> None:
        make(secret, value)
        if not _is_no_secret(value):
            the_recorder.add_secret("a Secret", value)

    patch.setattr(Secret, "__init__", make_and_note)


def _is_no_secret(value: str) -> bool:
    """A person's address, tried as their password, may be shown as what it is; and no word that could not become a
    password is one: `password` and `basewarden` stand in many an honest sentence. Nor is what a test makes up, where it
    makes up everything else as well; the credentials that its fixtures set up are.
    """
    is_made_up = CALLING.fullmatch(os.environ.get("PYTEST_CURRENT_TEST", "")) is not None
    return is_made_up or EMAIL.fullmatch(value) is not None or value.casefold() in GUESSED or len(set(value)) == 1


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.nodeid.startswith(OWN):
        for name, text in report.sections:
            the_recorder.record(f"{report.nodeid}, {name}", text.encode(errors="replace"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture
def run_so_far(pytestconfig: pytest.Config) -> RunRecorder:
    return pytestconfig.stash[RECORDER]
