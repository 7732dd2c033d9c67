"""One project that is reached through its own API, while it is in use."""

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import structlog

from basewarden.connections import ConnectionFailed, ConnectionTarget, ConnectionTargets, Reason
from basewarden.connections.rest import (
    MAX_BYTES,
    SMALL_BYTES,
    LargeBodySlot,
    ProbeResponse,
    ProtocolError,
    explain_response,
    fetch_exposed_schemas,
    fetch_openapi,
    read_documents,
)
from basewarden.core.tasks import end_task
from basewarden.errors import AppError
from basewarden.gateway.api.openapi import read_schema
from basewarden.gateway.api.upstream_client import ProjectUpstream, explain_unreachable
from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import ColumnRulesUnsupported, SchemaNotExposed, UpstreamInvalid, UpstreamTimeout
from basewarden.gateway.guarding import ProjectGuard
from basewarden.gateway.visibility import NarrowedSchemas
from basewarden.policy import GuardRules, VisibleNames
from pgrest import ColumnName, NarrowedSchema, RestConfig, Schema

_FRESH_SECONDS = 30.0
_SOONEST_SECONDS = 2.0
_MOST_SCHEMAS = 20
_MOST_KEPT = 512
_LOAD_SECONDS = 45.0
_log = structlog.get_logger()
_NO_DESCRIPTION = "The description of the project's API cannot be used: it is invalid, or larger than 32 MB."
# What the project's server allows, it decides itself; here nothing more may be refused than it would refuse.
_REST = RestConfig(aggregates_enabled=True, plan_enabled=True, tx_override=True, calls_unknown_names=False)


# A key that is refused altogether has failed by then; 404 comes from a server without a description.
_NOT_SHOWN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE})


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class ApiSnapshot:
    """`schema` is None where the project does not show it to this key."""

    fingerprint: bytes
    schema: Schema | None


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """The bytes of a read request. They contain the project's key, so they are never shown."""

    data: bytes = field(repr=False)
    method: str
    shows_profile: bool
    takes_gzip: bool
    reads: frozenset[ColumnName] = frozenset()
    """What of its reads is to be kept, under the rules that it was prepared with."""
    rules: GuardRules | None = field(default=None, repr=False)


class ApiProject:
    """Counterpart of `Project`."""

    def __init__(self, target: ConnectionTarget, targets: ConnectionTargets) -> None:
        assert target.api is not None
        self.target = target
        self.address = target.api.address
        self.client = targets.open_client(target.api)
        self.upstream = ProjectUpstream(self.client, self.address)
        self.config = replace(_REST, schemas=target.api.schemas)
        self.prepared = KeptCalls()
        self.narrowed = NarrowedSchemas()
        self.guard = ProjectGuard(None)
        self._snapshot: ApiSnapshot | None = None
        self._unknown_schema = Schema(self.config.schemas, {})
        self._loaded_at = self._tried_at = self._failed_at = float("-inf")
        self._failure: AppError | None = None
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def schema(self) -> Schema:
        """Raises SchemaNotExposed if the project does not show it, UpstreamUnavailable if it cannot be reached."""
        return _need(await self.find_schema())

    async def find_schema(self) -> Schema | None:
        """A schema that has just become old is used while the next one is fetched."""
        if self._snapshot is None:
            await self._load(self._loaded_at)
            assert self._snapshot is not None
        elif _now() - self._loaded_at > _FRESH_SECONDS:
            self.refresh_soon()
        return self._snapshot.schema

    def narrow(self, schema: Schema | None, names: VisibleNames) -> NarrowedSchema:
        """Of a project that does not list its tables, only the allowed names are known."""
        if schema is None:
            schema = self._unknown_schema
        return self.narrowed.narrow(schema, names)

    async def apply_column_rules(self, caller: Caller, schema: Schema) -> Caller:  # noqa: ARG002 - as `Project` does
        """Raises ColumnRulesUnsupported: an API does not say what its views and functions read."""
        if caller.policy.columns:
            raise ColumnRulesUnsupported
        return caller

    async def refresh(self, seen: Schema | None) -> Schema | None:
        """The schema now, or a moment ago if it was just read; `seen` where the project cannot be reached."""
        if self._snapshot is None or self._may_ask():
            with contextlib.suppress(AppError):
                await self._load(self._loaded_at)
        return self._snapshot.schema if self._snapshot is not None else seen

    async def wait_for_newer(self, seen: Schema | None) -> Schema | None:
        """The schema for what cannot be done on `seen`: waits until the project may be asked again."""
        if self._snapshot is None or self._snapshot.schema is seen:
            loaded_at = self._loaded_at
            await asyncio.sleep(max(0.0, self._tried_at + _SOONEST_SECONDS - _now()))
            with contextlib.suppress(AppError):
                await self._load(loaded_at)
        return self._snapshot.schema if self._snapshot is not None else seen

    async def find_newer(self, seen: Schema) -> Schema:
        """As `wait_for_newer`; raises SchemaNotExposed."""
        return _need(await self.wait_for_newer(seen))

    def refresh_soon(self) -> None:
        """Reads the schema in the background: a request did not fit the project any more."""
        is_running = self._refreshing is not None and not self._refreshing.done()
        if not is_running and self._may_ask():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def close(self) -> None:
        if self._refreshing is not None:
            await end_task(self._refreshing)
        await self.client.close()

    def _may_ask(self) -> bool:
        """Whether the last attempt, successful or not, was long enough ago."""
        return _now() - self._tried_at > _SOONEST_SECONDS

    async def _refresh(self) -> None:
        with contextlib.suppress(AppError):
            await self._load(self._loaded_at)

    async def _load(self, seen: float) -> None:
        async with self._lock:
            if self._loaded_at != seen:
                return  # another request just did
            if self._failure is not None and _now() - self._failed_at < _SOONEST_SECONDS:
                raise self._failure.with_traceback(None)  # it would be asked in vain by each that waits here
            self._tried_at = _now()
            try:
                await self._refresh_in_time()
            except AppError as error:
                if self._failure is None:  # logged once: callers that can do without a newer schema suppress it
                    _log.warning("api.schema_read_failed", connection=str(self.target.id), code=error.code)
                self._failure, self._failed_at = error, _now()
                raise
            self._failure, self._loaded_at = None, _now()

    async def _refresh_in_time(self) -> None:
        try:
            async with asyncio.timeout(_LOAD_SECONDS), self.client.open_slot() as turn:
                await self._read_description(turn)
        except TimeoutError:
            raise UpstreamTimeout("The project's API did not send its description in time.") from None
        except ConnectionFailed as error:
            raise explain_unreachable(error) from None
        except ProtocolError:
            raise UpstreamInvalid(_NO_DESCRIPTION) from None

    async def _read_description(self, turn: LargeBodySlot) -> None:
        """A large description takes its turn once, until it is read and decoded."""
        exposed = await fetch_exposed_schemas(self.client)
        descriptions: dict[str, ProbeResponse | None] = {}
        left = MAX_BYTES
        for name in exposed[:_MOST_SCHEMAS]:
            descriptions[name] = answer = await self._describe(name, turn, left)
            left -= 0 if answer is None else len(answer.body)
            if MAX_BYTES - left > SMALL_BYTES:
                await turn.acquire()
        fingerprint = await asyncio.to_thread(_fingerprint, descriptions)
        if self._snapshot is None or self._snapshot.fingerprint != fingerprint:
            self._snapshot = ApiSnapshot(fingerprint, await asyncio.to_thread(_read, descriptions))
            self.config = replace(self.config, schemas=exposed)
            self.prepared.clear()

    async def _describe(self, schema: str, turn: LargeBodySlot, limit: int) -> ProbeResponse | None:
        """None where this key may not read it."""
        try:
            answer = await fetch_openapi(self.client, schema, turn, limit=limit)
        except ConnectionFailed as error:
            if error.reason is Reason.NOT_REST:
                raise UpstreamInvalid(_NO_DESCRIPTION) from None
            raise
        if answer.status in _NOT_SHOWN:
            return None
        if answer.status != HTTPStatus.OK:
            raise explain_response(answer.status, answer.read_object())
        return answer


def _need(schema: Schema | None) -> Schema:
    if schema is None:
        raise SchemaNotExposed(hint="Use a secret key, or add a Postgres connection string to the connection.")
    return schema


def _fingerprint(descriptions: Mapping[str, ProbeResponse | None]) -> bytes:
    """The same description has the same fingerprint: plans made on it stay good."""
    digest = hashlib.sha256()
    for name, answer in descriptions.items():
        digest.update(b"%d %b " % (len(name), name.encode()))
        digest.update(b"not shown" if answer is None else hashlib.sha256(answer.body).digest())
    return digest.digest()


def _read(descriptions: Mapping[str, ProbeResponse | None]) -> Schema | None:
    bodies = {name: one.body for name, one in descriptions.items() if one is not None and one.is_json}
    known = read_documents(bodies)
    return read_schema(known) if known else None


class KeptCalls:
    """The most recently used of what was prepared: agents and pages ask the same again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Schema | None, PreparedCall]] = OrderedDict()

    def find(self, key: Hashable, schema: Schema | None) -> PreparedCall | None:
        """Good for the snapshot that it was checked against."""
        found = self._kept.get(key)
        if found is None or found[0] is not schema:
            return None
        self._kept.move_to_end(key)
        return found[1]

    def clear(self) -> None:
        self._kept.clear()

    def keep(self, key: Hashable, schema: Schema | None, prepared: PreparedCall) -> None:
        self._kept[key] = (schema, prepared)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
