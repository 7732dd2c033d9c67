"""Trying a project's API out: is it one, does it take the key, what does it tell, how fast."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any

import msgspec

from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.budgets import LargeTurn
from basewarden.connections.rest.client import AllBusy, RestClient
from basewarden.connections.rest.description import MAX_BYTES, read_documents
from basewarden.connections.rest.keys import ProjectKey
from basewarden.connections.rest.refusals import explain_answer, is_of_postgrest
from basewarden.connections.rest.urls import RestAddress
from basewarden.connections.rest.wire import Garbled, HTTPFailure, NoAnswer, TooSlow
from basewarden.db import note_waiting

PROBE_SECONDS = 8.0
_NO_SCHEMA = "basewarden-probe"
_NO_SUCH_SCHEMA = "PGRST106"
_NO_TABLE = "/basewarden_probe?limit=0"
_MOST_REFUSAL_BYTES = 64 * 1024
_NAMES = re.compile(r"(?:exposed|following): (?P<names>[^\n]{1,2000})\Z")
_VERSION = re.compile(r"\d+(?:\.\d+){0,3}")
_HOSTED = (".supabase.co", ".supabase.in", ".supabase.red")


@dataclass(frozen=True, slots=True)
class RestFacts:
    """`schemas` are those that the API exposes, its default first; `tables` is None where the key is not told them."""

    server: str
    role: str
    key_kind: str
    schemas: tuple[str, ...]
    tables: int | None
    writable_tables: int | None
    uses_tls: bool
    latency_ms: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "RestFacts":
        return cls(**{**stored, "schemas": tuple(stored["schemas"])})

    @property
    def tells_schema(self) -> bool:
        return self.tables is not None


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def is_json(self) -> bool:
        return b"json" in self.headers.get(b"content-type", b"").lower()

    def read_object(self) -> dict[str, Any]:
        """Of an error, which is never large."""
        is_error = self.is_json and len(self.body) <= _MOST_REFUSAL_BYTES
        try:
            found = msgspec.json.decode(self.body) if is_error else None
        except (msgspec.DecodeError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}


async def find_rest(address: RestAddress, key: ProjectKey, *, allow_private: bool) -> tuple[RestAddress, RestFacts]:
    """Of an address that was typed: as it turned out to be, and the rest as `probe_rest`."""
    note_waiting("a project's API to probe")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _find_rest(address, key, allow_private=allow_private)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None


async def _find_rest(address: RestAddress, key: ProjectKey, *, allow_private: bool) -> tuple[RestAddress, RestFacts]:
    failure = ConnectionFailed(Reason.NOT_REST, field="url")
    for base in _list_bases(address):
        found = replace(address, base=base)
        try:
            return found, await probe_rest(found, key, allow_private=allow_private)
        except ConnectionFailed as error:
            if error.reason is not Reason.NOT_REST:
                raise
            failure = error
    raise failure


async def probe_rest(address: RestAddress, key: ProjectKey, *, allow_private: bool) -> RestFacts:
    """The facts of an API that can be used, else ConnectionFailed; ends within 8 seconds."""
    note_waiting("a project's API to probe")
    client = RestClient(address, key, allow_private=allow_private, size=1)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _look(client, address, key)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None
    except ConnectionFailed as error:
        raise error.about(error.field_name if error.field_name != "postgresUrl" else "url") from None
    finally:
        await client.close()


def _list_bases(address: RestAddress) -> tuple[str, ...]:
    """Where a project's gateway puts the API, then where a plain PostgREST has it."""
    with_suffix = f"{address.base}/rest/v1"
    return (with_suffix,) if address.host.endswith(_HOSTED) else (with_suffix, address.base)


async def _look(client: RestClient, address: RestAddress, key: ProjectKey) -> RestFacts:
    """A schema that is not there is refused only after the key was taken, and the refusal names those that are."""
    asked = await _ask_for_no_schema(client)
    schemas = read_schemas(asked)
    started = time.perf_counter()
    described = await read_openapi(client, schemas[0], limit=MAX_BYTES)
    latency = (time.perf_counter() - started) * 1000
    document = await _read_description(described, schemas[0]) if described.status == HTTPStatus.OK else {}
    paths = document.get("paths")
    tables = _list_tables(paths) if isinstance(paths, dict) else None
    return RestFacts(
        server=_name_server(document, described, asked),
        role=key.role,
        key_kind=key.kind.value,
        schemas=schemas,
        tables=None if tables is None else len(tables),
        writable_tables=None if tables is None else sum(bool({"post", "patch", "delete"} & set(one)) for one in tables),
        uses_tls=address.is_encrypted,
        latency_ms=round(latency, 1),
    )


async def read_exposed(client: RestClient) -> tuple[str, ...]:
    """The schemas that the API exposes, its default first."""
    return read_schemas(await _ask_for_no_schema(client))


async def read_openapi(
    client: RestClient, schema: str, turn: LargeTurn | None = None, *, limit: int
) -> "ProbeResponse":
    """The description of one schema, where the answer is 200. `turn` is that of the whole operation, if it has one."""
    headers = (("accept", "application/openapi+json"), ("accept-profile", schema))
    return await ask(client, "/", headers, limit=limit, turn=turn)


async def _read_description(described: "ProbeResponse", schema: str) -> dict[str, Any]:
    try:
        found = await asyncio.to_thread(read_documents, {schema: described.body} if described.is_json else {})
    except Garbled:
        raise ConnectionFailed(Reason.NOT_REST, field="url") from None
    return found.get(schema, {})


async def _ask_for_no_schema(client: RestClient) -> "ProbeResponse":
    return await ask(client, _NO_TABLE, (("accept-profile", _NO_SCHEMA),), limit=_MOST_REFUSAL_BYTES)


async def ask(
    client: RestClient,
    target: str,
    headers: tuple[tuple[str, str], ...],
    *,
    limit: int,
    turn: LargeTurn | None = None,
) -> ProbeResponse:
    """One GET, its answer whole; ConnectionFailed says what is wrong."""
    own = (*headers, ("accept-encoding", "identity"))
    try:
        connection = await client.send(client.make_head("GET", target, own, None), may_repeat=True)
        try:
            body = await (turn or client).read_whole(connection, limit)
            return ProbeResponse(connection.status, dict(connection.headers), body)
        finally:
            client.done(connection)
    except TooSlow:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None
    except (NoAnswer, AllBusy):
        raise ConnectionFailed(Reason.UNREACHABLE, field="url") from None
    except HTTPFailure:
        raise ConnectionFailed(Reason.NOT_REST, field="url") from None


def read_schemas(answer: ProbeResponse) -> tuple[str, ...]:
    """The exposed schemas, out of the refusal of one that is none of them."""
    told = answer.read_object()
    if not is_of_postgrest(told) or told["code"] != _NO_SUCH_SCHEMA:
        raise explain_answer(answer.status, told)
    found = _NAMES.search(str(told.get("hint") or "")) or _NAMES.search(told["message"])
    names = tuple(name.strip() for name in found["names"].split(",")) if found else ()
    return tuple(name for name in names if name) or ("public",)


def _list_tables(paths: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        methods
        for path, methods in paths.items()
        if path != "/" and not path.startswith("/rpc/") and isinstance(methods, dict)
    ]


def _name_server(document: dict[str, Any], *answers: ProbeResponse) -> str:
    """The description says it, or the Server header; a gateway may hide both."""
    info = document.get("info")
    told = str(info.get("version", "")) if isinstance(info, dict) else ""
    for answer in answers:
        server = answer.headers.get(b"server", b"").decode("latin-1")
        told = told or (server if server.lower().startswith("postgrest/") else "")
    found = _VERSION.search(told)
    return f"PostgREST {found[0]}" if found else "PostgREST"
