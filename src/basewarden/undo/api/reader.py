"""Reads rows over a project's API for an undo, and finds which rows cannot be restored over an API."""

import re
from collections.abc import Iterable, Mapping, Sequence

from basewarden.gateway.api import (
    QUERY_ROOM,
    ApiTables,
    UpstreamRefused,
    UpstreamResponse,
    read_error,
    select_for_reading,
    split_rows,
)
from basewarden.journal import Image
from basewarden.undo.api.batches import find_unorderable
from basewarden.undo.api.json_bodies import list_inexpressible
from basewarden.undo.execution.conflicts import describe_rejection
from basewarden.undo.planning.manual_edits import list_manual_edits
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.row_reader import Exact, HolderMatch, Key
from pgrest import Name, Table, match_rows, write_name

SET_BY_HAND = "A column that a trigger sets was changed by hand, and through an API the trigger would overwrite it."
_ROWS_AT_ONCE = 1000
_GENERATED, _NOT_UNIQUE = "428C9", "23505"
_KEY = re.compile(r"\(([^()]+)\)=\(")


class ApiReader:
    """`versions` are those of the rows as they were read last; `generated` the columns that take no value.

    `probes`: whether it may send inserts of no rows, which show the columns that the database takes values for.
    """

    def __init__(self, api: ApiTables, *, probes: bool) -> None:
        self.api = api
        self.versions: dict[tuple[Name, Key], str] = {}
        self.generated: dict[Name, set[str]] = {}
        self._probes = probes

    async def list_ambiguous_tables(self) -> set[Name]:
        """An API does not describe inheritance."""
        return set()

    async def read_rows(self, table: Table, keys: Iterable[Key]) -> Mapping[Key, Image]:
        rows = await self.api.fetch_by(table, table.key, keys)
        self.versions.update({(table.qualified, row.identity): row.version for row in rows})
        return {row.identity: row.image for row in rows}

    async def read_defaults(self, table: Table, columns: Sequence[str]) -> Mapping[str, str | None]:
        """The literals that the API describes; other defaults are not known."""
        return {name: table.columns[name].default for name in columns}

    async def compute_generated(self, rows: Sequence[RowPlan]) -> Sequence[RowPlan]:
        """An API does not describe which columns are generated, nor from what."""
        return rows

    async def find_holders(self, table: Table, columns: Sequence[str], values: Sequence[Exact]) -> list[HolderMatch]:
        places: dict[Key, list[int]] = {}
        for place, value in enumerate(values):
            places.setdefault(tuple(one or "" for one in value), []).append(place)
        room = QUERY_ROOM - len(select_for_reading(table).text)
        parts = split_rows(columns, list(places), room)
        return [
            HolderMatch(place, key)
            for part in parts
            for value, key in await self._find_holders(table, columns, part)
            for place in places[value]
        ]

    async def _find_holders(self, table: Table, columns: Sequence[str], values: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Values with the keys of rows that hold them. Values whose equals have another text are read one by one."""
        images, total = await self.api.fetch_some(
            table, [*columns, *table.key], match_rows(columns, values), limit=_ROWS_AT_ONCE
        )
        held = [(image.key(tuple(columns)), image.key(table.key)) for image in images]
        if len(values) == 1:
            return [(values[0], key) for _, key in held]  # a limited number of holders is enough
        if total <= len(images) and {value for value, _ in held} <= set(values):
            return held
        half = len(values) // 2
        first = await self._find_holders(table, columns, values[:half])
        return [*first, *(await self._find_holders(table, columns, values[half:]))]

    async def list_further_dependencies(
        self, rows: Sequence[RowPlan], dependencies: Sequence[Dependency]
    ) -> list[Dependency]:
        cycles = find_unorderable(rows, dependencies)
        found = [
            Dependency(
                number,
                None,
                "This row and others refer to each other, so an API cannot restore them one by one.",
            )
            for number in sorted(cycles)
        ]
        for number, row in enumerate(rows):
            unsayable = list_inexpressible(row)
            if unsayable:
                found.append(
                    Dependency(number, None, "This JSON cannot be restored exactly through an API.", unsayable)
                )
            manual_edits = list_manual_edits(row)
            if manual_edits:
                found.append(Dependency(number, None, SET_BY_HAND, manual_edits))
        return [*found, *(await self._probe_inserts(rows))] if self._probes else found

    async def _probe_inserts(self, rows: Sequence[RowPlan]) -> list[Dependency]:
        tables = {row.table.qualified: row for row in rows if row.action == "insert"}
        refused = {name: reason for name, row in tables.items() if (reason := await self._probe_insert(row))}
        return [
            Dependency(number, None, refused[row.table.qualified])
            for number, row in enumerate(rows)
            if row.action == "insert" and row.table.qualified in refused
        ]

    async def _probe_insert(self, row: RowPlan) -> str | None:
        """The reason why the table does not accept such a row, if any; learns which of its columns are generated."""
        for _ in range(len(row.table.columns) + 1):
            columns = self.list_written(row)
            query = [("columns", ",".join(write_name(name) for name in columns)), ("select", write_name(columns[0]))]
            request = self.api.make_request(
                "POST", row.table, query, prefer=("tx=commit",), content_type="application/json", body=b"[]"
            )
            answer = await self.api.upstream.ask(request)
            if answer.status < 300:
                return None
            if not self.learn_generated(row.table, answer):
                return explain_refusal(UpstreamRefused(answer))
        return "The database accepts no values for its columns."

    def list_written(self, row: RowPlan) -> tuple[str, ...]:
        known = self.generated.get(row.table.qualified, ())
        return tuple(name for name in row.written if name not in known)

    def learn_generated(self, table: Table, answer: UpstreamResponse) -> bool:
        """Whether the database rejected a value for a generated column, which is known from now on.

        PostgreSQL adds a hint only where the column is an identity; leaving that out would give the row another value.
        """
        error = read_error(answer)
        if error.get("code") != _GENERATED or "hint" in error:
            return False
        known = self.generated.setdefault(table.qualified, set())
        fresh = {name for name in table.columns if f'"{name}"' in error["message"]} - known
        known |= fresh
        return bool(fresh)


def explain_refusal(refused: UpstreamRefused) -> str:
    error = read_error(refused.answer)
    if error.get("code") == _GENERATED:
        return "The database always generates this value, so the row cannot be restored through an API."
    return describe_rejection(error.get("message") or refused.answer.status)


def read_unique_key(table: Table, refused: UpstreamRefused) -> tuple[str, ...] | None:
    """The columns of the violated unique key: `Key (a, b)=(1, 2) already exists.` in any language."""
    found = _KEY.search(read_error(refused.answer).get("details", "")) if refused.code == _NOT_UNIQUE else None
    columns = tuple(name.strip().strip('"') for name in found[1].split(",")) if found else ()
    return columns if columns and all(name in table.columns for name in columns) else None
