"""What a deployment tells of itself: lines, reports of failures, traces. And that none of them tells on anybody."""

import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from basewarden.core.logs import (
    JSONLines,
    bind_log_context,
    configure_logs,
    describe_exception,
    log_context,
    read_log_context,
)
from basewarden.core.reporting import Reporter, scrub_event
from basewarden.core.secret import Secret
from basewarden.core.tracing import span
from tests.fakes.collectors import Collector, collecting
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.bench import OwnWorkshop
from tests.fixtures.sql import run_sql

SHOP = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'canary-row')"
CANARY = "tweet-tweet"  # by name where it fails: a traceback shows the source
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


def dsn_of(collector: Collector) -> Secret:
    return Secret(collector.url.replace("http://", "http://0123456789abcdef@") + "/7")


def read_lines(said: str, event: str) -> list[Line]:
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_a_line_says_whose_request_it_was_and_what_it_touched(
    capsys: pytest.CaptureFixture[str], own_workshop: OwnWorkshop
) -> None:
    workshop = await own_workshop.open({"log_level": "info"})
    bench = await workshop.bench(SHOP)
    agent = await bench.agent()
    capsys.readouterr()
    written = await agent.write("PATCH", "/items?id=eq.1", {"name": "canary-value"})
    await bench.person.get(f"/c/{bench.connection_id}/data/public.items/canary-key?canary=query")
    said = capsys.readouterr().err
    write = next(line for line in read_lines(said, "request") if line["method"] == "PATCH")
    assert write["request_id"] == written.answer.headers["x-request-id"]
    assert write["connection"] == bench.connection_id
    assert write["agent"] == agent.id
    assert write["session"] == written.session_id
    assert "user" not in write
    page = next(line for line in read_lines(said, "request") if "/data/" in line["path"])
    me = await bench.person.get("/api/auth/session")
    assert page["user"]
    assert page["connection"] == bench.connection_id
    assert "agent" not in page
    assert me.status_code == 200
    assert "canary" not in said
    assert agent.token not in said


async def test_facts_end_with_their_request() -> None:
    with log_context(request_id="one"):
        bind_log_context(user="anna")
        assert read_log_context() == {"request_id": "one", "user": "anna"}
        kept = read_log_context()
    assert read_log_context() == {}
    assert kept == {}  # what a request has left running does not go on in its name
    bind_log_context(user="nobody listens")
    assert read_log_context() == {}


async def test_the_text_of_an_error_that_may_quote_a_row_is_in_no_log(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    configure_logs("info")
    log = structlog.get_logger()
    for fail in (_fail_by_duplicate(database), _fail_by_value(), _fail_plainly()):
        try:
            await fail
        except Exception:
            log.exception("it.failed")
    said = capsys.readouterr().err
    first, second, third = (line["exception"] for line in read_lines(said, "it.failed"))
    assert "UniqueViolation: SQLSTATE 23505" in first
    assert "in _fail_by_duplicate" in first
    assert second.endswith("\nKeyError")
    assert "\nValueError\n" in second
    assert "TypeError: there is no such thing as NoneType" in third
    assert CANARY not in said


async def _fail_by_duplicate(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("CREATE TABLE t (a text PRIMARY KEY)")
        for _ in range(2):
            await connection.execute("INSERT INTO t VALUES (%s)", (CANARY,))


async def _fail_by_value() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise KeyError(CANARY) from error


async def _fail_plainly() -> None:
    raise TypeError("there is no such thing as NoneType")


def test_what_a_library_logs_is_a_line_of_the_same_form() -> None:
    error = ValueError(CANARY)
    text = f"Task exception was never retrieved\nfuture: <Task exception={error!r}>"
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, None, (ValueError, error, None))
    line = json.loads(JSONLines().format(record))
    assert line["event"] == "Task exception was never retrieved"
    assert (line["logger"], line["level"], line["exception"]) == ("asyncio", "error", "ValueError")
    assert CANARY not in str(line)


def test_a_group_of_errors_is_described_one_by_one() -> None:
    text = describe_exception(ExceptionGroup("canary", [ValueError("canary"), OSError("the disk is full")]))
    assert "ValueError" in text
    assert "OSError: the disk is full" in text
    assert "canary" not in text


def test_an_error_that_is_its_own_cause_is_described_once() -> None:
    first, second = OSError("first"), OSError("second")
    first.__cause__, second.__cause__ = second, first
    alone = OSError("alone")
    alone.__cause__ = alone
    assert describe_exception(alone) == "OSError: alone"
    assert describe_exception(first).count("OSError") == 2


async def test_an_unknown_failure_is_reported_and_nothing_of_anybody_goes_along(
    serve: Serve, app_database: str, collector: Collector
) -> None:
    """A table that was changed under the product makes it fail in the middle of its SQL."""
    product = await serve({"sentry_dsn": dsn_of(collector)})
    owner = await product.sign_up("canary@example.com")
    cookie = next(iter(owner.cookies.values()))
    await run_sql(app_database, "ALTER TABLE attempt_counters RENAME TO canary")
    body = {"currentPassword": "canary-password", "newPassword": "canary-new-password"}
    answer = await owner.post("/api/account/change-password?canary=query", json=body, headers={"x-canary": "header"})
    assert answer.status_code == 500, answer.text
    delivery = await collector.next()
    assert delivery.path == "/api/7/envelope/"
    _, header, content = delivery.body.split(b"\n", 2)
    assert json.loads(header)["type"] == "event"
    event = json.loads(content.splitlines()[0])
    assert event["tags"]["request_id"] == answer.headers["x-request-id"]
    assert event["user"] == {"id": (await _whoami(app_database))}
    types = [one["type"] for one in event["exception"]["values"]]
    assert "UndefinedTable" in types
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert any("change_password" in frame["function"] for frame in frames)
    sent = delivery.body.decode()
    for private in ("canary", cookie, "SELECT", "example.com", '"vars"'):
        assert private not in sent, private
    await _stays_quiet(product, collector)


async def _whoami(dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT id::text FROM users")).fetchone()
        assert row
        return str(row[0])


async def _stays_quiet(product: ServedProduct, collector: Collector) -> None:
    """A caller's own mistake is no failure of ours."""
    client = await product.client()
    assert (await client.get("/api/connections")).status_code == 401
    assert (await client.get("/nothing")).status_code == 404
    assert collector.deliveries.empty()


async def test_what_quotes_a_row_is_sent_without_its_text(collector: Collector, database: str) -> None:
    reporter = Reporter(dsn_of(collector), "1")
    try:
        await _fail_by_duplicate(database)
    except psycopg.Error as error:
        reporter.report(error, {"request_id": "one"})
    await reporter.stop()
    sent = (await collector.next()).body.decode()
    assert "UniqueViolation" in sent
    assert "Key (a)" not in sent
    assert CANARY not in sent


def test_whatever_a_library_adds_is_left_out() -> None:
    event = {
        "event_id": "1",
        "request": {"headers": {"cookie": "canary"}, "data": "canary", "query_string": "canary", "env": {}},
        "breadcrumbs": {"values": [{"message": "canary"}]},
        "extra": {"sys.argv": ["canary"]},
        "contexts": {"canary": {}},
        "server_name": "canary",
        "exception": {
            "values": [
                {
                    "type": "E",
                    "value": "canary",
                    "mechanism": {"data": "canary"},
                    "stacktrace": {"frames": [{"function": "f", "vars": {"a": "canary"}}]},
                }
            ]
        },
    }
    assert scrub_event(event) == {
        "event_id": "1",
        "exception": {"values": [{"type": "E", "value": "", "stacktrace": {"frames": [{"function": "f"}]}}]},
    }


async def test_nothing_is_sent_where_nothing_is_set(product: ServedProduct) -> None:
    reporter = product.registry.get(Reporter)
    reporter.report(ValueError(), {})
    with span("data") as first, span("run") as second:
        assert first is second is None
    assert span("data") is span("run")  # nothing is made


async def test_a_collector_gets_the_spans_of_the_data_api(own_workshop: OwnWorkshop, collector: Collector) -> None:
    workshop = await own_workshop.open({"otel_endpoint": collector.url})
    bench = await workshop.bench(SHOP)
    agent = await bench.agent()
    read = await agent.http.get("/items?name=eq.canary-row")
    assert read.json() == [{"id": 1, "name": "canary-row"}]
    written = await agent.write("PATCH", "/items?id=eq.1", {"name": "canary-value"})
    refused = await agent.http.delete("/items")
    assert refused.status_code == 400, refused.text
    delivery = await collector.next()
    assert delivery.path == "/v1/traces"
    assert b"canary" not in delivery.body
    assert agent.token.encode() not in delivery.body
    spans = read_spans(delivery.body)
    assert [name for name, _ in spans[read.headers["x-request-id"]]] == ["caller", "plan", "policy", "run", "data"]
    write = spans[written.answer.headers["x-request-id"]]
    assert [name for name, _ in write] == ["caller", "plan", "policy", "capture", "journal", "commit", "data"]
    facts = dict(write)["data"]
    assert facts["basewarden.session"] == written.session_id
    assert facts["basewarden.agent"] == agent.id
    refusal = dict(spans[refused.headers["x-request-id"]])
    assert refusal["plan"] == {"error.type": "FilterRequired"}  # before the body is looked at


def read_spans(body: bytes) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """By request id: the stages in the order in which they ended, each with its attributes."""
    traces: dict[bytes, list[tuple[str, dict[str, str]]]] = {}
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for one in (one for scope in resource.scope_spans for one in scope.spans):
            facts = {item.key: item.value.string_value for item in one.attributes}
            traces.setdefault(one.trace_id, []).append((one.name, facts))
    return {dict(spans)["data"]["basewarden.request_id"]: spans for spans in traces.values()}


async def test_a_collector_that_is_away_delays_no_request(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open(
        {"otel_endpoint": "http://127.0.0.1:9", "sentry_dsn": Secret("http://a@127.0.0.1:9/1")}
    )
    bench = await workshop.bench(SHOP)
    agent = await bench.agent()
    answer: httpx.Response = await agent.http.get("/items")
    assert answer.status_code == 200
    assert sys.exc_info() == (None, None, None)
