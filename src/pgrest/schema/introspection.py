"""Reads the catalogue into a snapshot, and an outdated snapshot into a fresh one by reading what has changed.

It happens in one transaction with one view of the catalogue, but the server spells names and expressions by the
catalogue as it is at that moment: what is dropped in between makes an error, and then all is read again. Nothing of
the session is changed, so it may go through a pooler of transactions. Rows are decoded as they come, some hundred
relations at a time, in turns with whatever else runs here.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from pgrest.errors import DatabaseError
from pgrest.schema.build_schema import (
    Catalogue,
    Relation,
    make_function,
    make_relations,
    make_schema,
)
from pgrest.schema.catalog_version import PLAN_PLAINLY, CatalogVersion, ask_catalog_version, read_catalog_version
from pgrest.schema.catalogue import (
    COMPUTED,
    COMPUTED_COLUMNS,
    GEOJSON,
    REPRESENTATIONS,
    ROLES,
    SPELLED,
    TIMEZONES,
    CastRow,
    ComputedColumnRow,
    ComputedRow,
    FunctionRow,
    HandlerRow,
    RelationRow,
    RoleRow,
    SurveyRow,
    TypeKey,
    TypeRow,
    ask_comments,
    ask_functions,
    ask_media_handlers,
    ask_relations,
    ask_rules,
    ask_survey,
    ask_types,
)
from pgrest.schema.code import CODED, PARTITIONS
from pgrest.schema.cooperation import run_cooperatively
from pgrest.schema.model import Function, Schema
from pgrest.schema.view_columns import Targets, read_targets
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection, Rows

_BEGIN = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT = Statement("COMMIT")
_ROLLBACK = Statement("ROLLBACK")
# So every name is spelled with its schema, and no temporary table hides a catalogue. A session that holds a view for
# long is not waited for. The login's own limit on statements is for requests.
SPELL_NAMES = Statement(
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), "
    "pg_catalog.set_config('quote_all_identifiers', 'off', true), "
    "pg_catalog.set_config('lock_timeout', '500ms', true), pg_catalog.set_config('statement_timeout', '60s', true)"
)
# Something that is in the transaction's view of the catalogue was dropped meanwhile, or another session holds it.
_LOCKED = "55P03"
_PASSING = frozenset({"XX000", "42P01", "42703", "42704", "42883", "3F000", _LOCKED})
_TRIES = 8
_PAUSE_SECONDS = 0.05
_RELATIONS_AT_ONCE = 400
_RULES_AT_ONCE = 50  # they are long
_VIEWS = ("view", "matview")
_ASKED_KINDS = ("v", "f")  # whether they can be written to
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`schema` is what everybody shares; the next snapshot takes over from `catalogue` what has not changed."""

    schema: Schema
    catalogue: Catalogue


async def load_schema(conn: DbConnection, schemas: Sequence[str], extra_search_path: Sequence[str] = ()) -> Schema:
    """A snapshot of everything, in which the API reaches `schemas`."""
    return (await load_snapshot(conn, schemas, extra_search_path)).schema


async def load_snapshot(
    conn: DbConnection,
    schemas: Sequence[str],
    extra_search_path: Sequence[str] = (),
    *,
    known: Snapshot | None = None,
    pulse: CatalogVersion | None = None,
) -> Snapshot:
    """`pulse` is a whole one, by which `known` turned out to be outdated. Raises DatabaseError; `known` holds still."""
    asks_views = True
    for tries_left in reversed(range(_TRIES)):
        reader = _CatalogReader(conn, tuple(schemas), tuple(extra_search_path), asks_views=asks_views)
        try:
            catalogue = await reader.read(known.catalogue if known is not None else None, pulse)
            schema = await run_cooperatively(make_schema(catalogue, tuple(schemas), conn.server_version))
            return Snapshot(schema, catalogue)
        except DatabaseError as error:
            if error.sqlstate not in _PASSING or not tries_left or not conn.is_usable:
                raise
            asks_views = asks_views and error.sqlstate != _LOCKED
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


async def read_timezones(conn: DbConnection) -> frozenset[str]:
    """They come with the server's program, and are slow to list: once for each connection's database."""
    (rows,) = await conn.run([TIMEZONES])
    return frozenset(await run_cooperatively(read_names(rows)))


# The whole ----------------------------------------------------------------------------------------------


class _CatalogReader:
    def __init__(
        self, conn: DbConnection, schemas: Sequence[str], extra_search_path: Sequence[str], *, asks_views: bool
    ) -> None:
        self._conn = conn
        self._schemas = schemas
        self._search_path = frozenset([*schemas, *extra_search_path])
        self._asks_views = asks_views

    async def read(self, known: Catalogue | None, pulse: CatalogVersion | None) -> Catalogue:
        try:
            catalogue = await self._read(known, pulse)
            await self._conn.run([_COMMIT])
        except DatabaseError:
            if self._conn.is_usable and not self._conn.is_between_transactions:
                await self._conn.run([_ROLLBACK])
            raise
        return catalogue

    async def _read(self, known: Catalogue | None, pulse: CatalogVersion | None) -> Catalogue:
        asked = [] if pulse else [ask_catalog_version(self._conn.server_version, whole=True)]
        *_, beat = await self._conn.run([_BEGIN, SPELL_NAMES, PLAN_PLAINLY, *asked])
        pulse = pulse or read_catalog_version(beat)
        timezones = known.timezones if known is not None else await read_timezones(self._conn)
        if known is not None and known.pulse.names != pulse.names:
            known = None
        (
            survey,
            coded,
            roots,
            spelled,
            computed,
            computed_columns,
            geojson,
            casts,
            handlers,
            roles,
            comments,
        ) = await self._conn.run(
            [
                ask_survey(stamped=known is not None),
                CODED,
                PARTITIONS,
                SPELLED,
                COMPUTED,
                COMPUTED_COLUMNS,
                GEOJSON,
                REPRESENTATIONS,
                ask_media_handlers(self._schemas),
                ROLES,
                ask_comments(self._schemas),
            ]
        )
        found = await run_cooperatively(decode_rows(survey, SurveyRow))
        calls = await run_cooperatively(read_pairs(spelled))
        if known is not None and _is_renamed(known, found, calls):
            known = None
        types = TypeCatalog(self._conn, known.types if known is not None else {})
        relations = await self._read_relations(types, known.relations if known is not None else {}, found)
        columns = await run_cooperatively(decode_rows(computed_columns, ComputedColumnRow))
        await types.look_up((one.returned, None) for one in columns)
        return Catalogue(
            # what was not asked is asked next time, whether or not anything has changed by then
            pulse=pulse if self._asks_views else msgspec.structs.replace(pulse, shape=""),
            relations=relations,
            coded=await run_cooperatively(read_coded(coded)),
            roots=await run_cooperatively(read_pairs(roots)),
            spelled=calls,
            targets=await self._read_targets(known, relations),
            functions=await self._read_functions(types, known, pulse),
            types=types.rows,
            computed=tuple(await run_cooperatively(decode_rows(computed, ComputedRow))),
            computed_columns=tuple(columns),
            geojson_schema=next(iter(await run_cooperatively(read_pairs(geojson))), None),
            casts=tuple(await run_cooperatively(decode_rows(casts, CastRow))),
            handlers=tuple(await run_cooperatively(decode_rows(handlers, HandlerRow))),
            roles=tuple(await run_cooperatively(decode_rows(roles, RoleRow))),
            comments=await run_cooperatively(read_pairs(comments)),
            timezones=timezones,
        )

    async def _read_relations(
        self, types: "TypeCatalog", known: Mapping[int, Relation], found: Collection[SurveyRow]
    ) -> Mapping[int, Relation]:
        """Those that are still what they were are taken over."""
        changed = {row.oid for row in found if not _is_same(known.get(row.oid), row)}
        views = {row.oid for row in found if row.kind in _ASKED_KINDS}
        if not changed.isdisjoint(views):
            changed |= views  # whether a view can be written to depends on those under it
        fresh = await read_relations(
            self._conn, types, {row.oid: row.place for row in found if row.oid in changed}, asks_views=self._asks_views
        )
        return {row.oid: fresh.get(row.oid) or known[row.oid] for row in found if row.oid in fresh or row.oid in known}

    async def _read_targets(self, known: Catalogue | None, relations: Mapping[int, Relation]) -> Mapping[int, Targets]:
        """Of the views that requests may name: their rules are long."""
        views = [one for one in relations.values() if one.kind in _VIEWS and one.qualified[0] in self._search_path]
        targets: dict[int, Targets] = {}
        for view in views:
            before = known.relations.get(view.oid) if known is not None else None
            if known is not None and before is not None and before.marks == view.marks and view.oid in known.targets:
                targets[view.oid] = known.targets[view.oid]
        missing = (view.oid for view in views if view.oid not in targets)
        parts = (ask_rules(oids) for oids in _batch(missing, _RULES_AT_ONCE))
        async with aclosing(_run_ahead(self._conn, parts)) as answers:
            async for rows in answers:
                targets.update(await run_cooperatively(_read_rules(rows)))
        return targets

    async def _read_functions(
        self, types: "TypeCatalog", known: Catalogue | None, pulse: CatalogVersion
    ) -> tuple[Function, ...]:
        if known is not None and known.pulse.code == pulse.code:
            return known.functions
        (answer,) = await self._conn.run([ask_functions(self._schemas)])
        rows = await run_cooperatively(decode_rows(answer, FunctionRow))
        await types.look_up((kind, None) for row in rows for kind in (*row.types, row.returned))
        return await run_cooperatively(_make_functions(rows, types.rows))


def _is_same(known: Relation | None, found: SurveyRow) -> bool:
    if known is None or (known.writable is None and found.kind in _ASKED_KINDS):
        return False
    return (known.stamp, known.marks) == (found.stamp, found.marks)


def _is_renamed(known: Catalogue, found: Iterable[SurveyRow], spelled: Mapping[str, str]) -> bool:
    """If so, the text of unchanged objects may still have its old name."""
    relations = known.relations
    if any(row.oid in relations and relations[row.oid].place != row.place for row in found):
        return True
    return any(known.spelled.get(thing, name) != name for thing, name in spelled.items())


def _make_functions(
    rows: Iterable[FunctionRow], types: Mapping[TypeKey, TypeRow]
) -> Generator[None, None, tuple[Function, ...]]:
    made = []
    for row in rows:
        function = make_function(row, types)
        if function is not None:
            made.append(function)
        yield
    return tuple(made)


# Relations and the types of their columns ---------------------------------------------------------------


class TypeCatalog:
    """Holds the types that are known, and looks up others."""

    def __init__(self, conn: DbConnection, known: Mapping[TypeKey, TypeRow]) -> None:
        self._conn = conn
        self.rows = dict(known)

    async def look_up(self, keys: Iterable[TypeKey]) -> None:
        missing = set(keys).difference(self.rows)
        if missing:
            (answer,) = await self._conn.run([ask_types(missing)])
            self.rows.update({row.key: row for row in await run_cooperatively(decode_rows(answer, TypeRow))})


async def read_relations(
    conn: DbConnection, types: TypeCatalog, places: Mapping[int, str], *, asks_views: bool
) -> dict[int, Relation]:
    rows: list[RelationRow] = []
    parts = (
        ask_relations(oids, conn.server_version, asks_views=asks_views)
        for oids in _batch(sorted(places), _RELATIONS_AT_ONCE)
    )
    async with aclosing(_run_ahead(conn, parts)) as answers:
        async for answer in answers:
            rows += await run_cooperatively(decode_rows(answer, RelationRow))
    await types.look_up(await run_cooperatively(_list_type_keys(rows)))
    return {one.oid: one for one in await run_cooperatively(make_relations(rows, types.rows, places))}


async def _run_ahead(conn: DbConnection, statements: Iterable[Statement]) -> AsyncGenerator[Rows, None]:
    """The answers, each while the server is at the next."""
    waiting: asyncio.Task[list[Rows]] | None = None
    try:
        for statement in statements:
            answer = await waiting if waiting is not None else None
            waiting = asyncio.create_task(conn.run([statement]))
            if answer is not None:
                yield answer[0]
        if waiting is not None:
            yield (await waiting)[0]
    finally:
        if waiting is not None and not waiting.done():
            waiting.cancel()
            await asyncio.wait([waiting])


def _list_type_keys(rows: Iterable[RelationRow]) -> Generator[None, None, set[TypeKey]]:
    keys: set[TypeKey] = set()
    for row in rows:
        keys.update((column.type, column.modifier) for column in row.columns or ())
        yield
    return keys


def _batch(values: Iterable[int], size: int) -> Iterator[Sequence[int]]:
    rest = list(values)
    return (rest[at : at + size] for at in range(0, len(rest), size))


# Reading ------------------------------------------------------------------------------------------------


def decode_rows(rows: Rows, kind: type[Row]) -> Generator[None, None, list[Row]]:
    decoder = msgspec.json.Decoder(kind)
    made = []
    for (value,) in rows.each():
        made.append(decoder.decode(value or b""))
        yield
    return made


def read_coded(rows: Rows) -> Generator[None, None, dict[int, bool]]:
    return {int(oid): in_policies_only == "t" for oid, in_policies_only in (yield from read_pairs(rows)).items()}


def read_names(rows: Rows) -> Generator[None, None, list[str]]:
    names = []
    for (name,) in rows.each():
        names.append((name or b"").decode())
        yield
    return names


def read_pairs(rows: Rows) -> Generator[None, None, dict[str, str]]:
    pairs = {}
    for key, value in rows.each():
        pairs[(key or b"").decode()] = (value or b"").decode()
        yield
    return pairs


def _read_rules(rows: Rows) -> Generator[None, None, dict[int, Targets]]:
    targets = {}
    for oid, rule in rows.each():
        targets[int(oid or 0)] = read_targets((rule or b"").decode())
        yield
    return targets
