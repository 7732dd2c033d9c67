"""Probes a project's API: whether it is one, whether it accepts the key, what it exposes, and its latency."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any

import msgspec

from basewarden.connections.addresses import is_local_host
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.client import PoolExhausted, RestClient
from basewarden.connections.rest.gateway_errors import explain_response, is_postgrest_error
from basewarden.connections.rest.http_connection import HTTPFailure, NoResponse, ProtocolError, ReadTimeout
from basewarden.connections.rest.keys import ProjectKey
from basewarden.connections.rest.memory_limits import LargeBodySlot
from basewarden.connections.rest.openapi_documents import MAX_BYTES, read_documents
from basewarden.connections.rest.urls import RestAddress
from basewarden.db import note_waiting

PROBE_SECONDS = 8.0
_MISSING_SCHEMA = "basewarden-probe"
_SCHEMA_NOT_FOUND = "PGRST106"
_MISSING_TABLE = "/basewarden_probe?limit=0"
_MAX_ERROR_BYTES = 64 * 1024
_NAMES = re.compile(r"(?:exposed|following): (?P<names>[^\n]{1,2000})\Z")
_VERSION = re.compile(r"\d+(?:\.\d+){0,3}")
_HOSTED = (".supabase.co", ".supabase.in", ".supabase.red")


@dataclass(frozen=True, slots=True)
class RestFacts:
    """`schemas` are the exposed ones, the default first; `tables` is None if the key may not list them."""

    server: str
    role: str
    key_kind: str
    schemas: tuple[str, ...]
    tables: int | None
    writable_tables: int | None
    uses_tls: bool
    latency_ms: float
    is_local: bool = False
    """The API is on the machine that Basewarden runs on."""

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
        """Returns the JSON object of an error, or an empty one."""
        is_error = self.is_json and len(self.body) <= _MAX_ERROR_BYTES
        try:
            found = msgspec.json.decode(self.body) if is_error else None
        except (msgspec.DecodeError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}


async def probe_project(address: RestAddress, key: ProjectKey, *, allow_private: bool) -> tuple[RestAddress, RestFacts]:
    """Probes a typed address with and without `/rest/v1`; returns the one that works, with its facts."""
    note_waiting("a project's API to probe")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _probe_bases(address, key, allow_private=allow_private)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None


async def _probe_bases(address: RestAddress, key: ProjectKey, *, allow_private: bool) -> tuple[RestAddress, RestFacts]:
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
    """Returns the facts of a usable API, or raises ConnectionFailed; takes at most 8 seconds."""
    note_waiting("a project's API to probe")
    client = RestClient(address, key, allow_private=allow_private, size=1)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _probe(client, address, key)
    except TimeoutError:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None
    except ConnectionFailed as error:
        raise error.for_field(error.field_name if error.field_name != "postgresUrl" else "url") from None
    finally:
        await client.close()


def _list_bases(address: RestAddress) -> tuple[str, ...]:
    """Lists the path of a Supabase project's API, then that of a plain PostgREST."""
    with_suffix = f"{address.base}/rest/v1"
    return (with_suffix,) if address.host.endswith(_HOSTED) else (with_suffix, address.base)


async def _probe(client: RestClient, address: RestAddress, key: ProjectKey) -> RestFacts:
    """Requests a missing schema: PostgREST refuses it only after it accepted the key, and lists the exposed ones."""
    asked = await _request_missing_schema(client)
    schemas = read_schemas(asked)
    started = time.perf_counter()
    described = await fetch_openapi(client, schemas[0], limit=MAX_BYTES)
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
        is_local=is_local_host(address.host),
    )


async def fetch_exposed_schemas(client: RestClient) -> tuple[str, ...]:
    """Fetches the exposed schemas, the default first."""
    return read_schemas(await _request_missing_schema(client))


async def fetch_openapi(
    client: RestClient, schema: str, slot: LargeBodySlot | None = None, *, limit: int
) -> "ProbeResponse":
    """Fetches the OpenAPI document of one schema. `slot` is the whole operation's, if it has one."""
    headers = (("accept", "application/openapi+json"), ("accept-profile", schema))
    return await fetch(client, "/", headers, limit=limit, slot=slot)


async def _read_description(described: "ProbeResponse", schema: str) -> dict[str, Any]:
    try:
        found = await asyncio.to_thread(read_documents, {schema: described.body} if described.is_json else {})
    except ProtocolError:
        raise ConnectionFailed(Reason.NOT_REST, field="url") from None
    return found.get(schema, {})


async def _request_missing_schema(client: RestClient) -> "ProbeResponse":
    return await fetch(client, _MISSING_TABLE, (("accept-profile", _MISSING_SCHEMA),), limit=_MAX_ERROR_BYTES)


async def fetch(
    client: RestClient,
    target: str,
    headers: tuple[tuple[str, str], ...],
    *,
    limit: int,
    slot: LargeBodySlot | None = None,
) -> ProbeResponse:
    """Sends a GET request and reads the whole response, or raises ConnectionFailed."""
    own = (*headers, ("accept-encoding", "identity"))
    try:
        connection = await client.send(client.make_head("GET", target, own, None), is_repeatable=True)
        try:
            body = await (slot or client).read_whole(connection, limit)
            return ProbeResponse(connection.status, dict(connection.headers), body)
        finally:
            client.release(connection)
    except ReadTimeout:
        raise ConnectionFailed(Reason.TIMED_OUT, field="url") from None
    except (NoResponse, PoolExhausted):
        raise ConnectionFailed(Reason.UNREACHABLE, field="url") from None
    except HTTPFailure:
        raise ConnectionFailed(Reason.NOT_REST, field="url") from None


def read_schemas(answer: ProbeResponse) -> tuple[str, ...]:
    """Reads the exposed schemas from the error for a missing one."""
    error = answer.read_object()
    if not is_postgrest_error(error) or error["code"] != _SCHEMA_NOT_FOUND:
        raise explain_response(answer.status, error)
    found = _NAMES.search(str(error.get("hint") or "")) or _NAMES.search(error["message"])
    names = tuple(name.strip() for name in found["names"].split(",")) if found else ()
    return tuple(name for name in names if name) or ("public",)


def _list_tables(paths: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        methods
        for path, methods in paths.items()
        if path != "/" and not path.startswith("/rpc/") and isinstance(methods, dict)
    ]


def _name_server(document: dict[str, Any], *answers: ProbeResponse) -> str:
    """Names the server by the OpenAPI document or the Server header; a gateway may hide both."""
    info = document.get("info")
    version = str(info.get("version", "")) if isinstance(info, dict) else ""
    for answer in answers:
        server = answer.headers.get(b"server", b"").decode("latin-1")
        version = version or (server if server.lower().startswith("postgrest/") else "")
    found = _VERSION.search(version)
    return f"PostgREST {found[0]}" if found else "PostgREST"
