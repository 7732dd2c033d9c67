"""A project database on which a session's writes are recorded by comparing everything before and after."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from basewarden.gateway.direct import AS_OWNER, read_images, select_images
from basewarden.journal import Image, RowChange, Verb
from basewarden.undo.direct.apply import Applied, apply_rows
from basewarden.undo.direct.reader import DatabaseReader
from basewarden.undo.execution.failures import PlanRejected
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.fold import Folded, RecordedWrite, fold_writes
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.planning.planner import make_chosen_plan, make_plan
from pgrest import Builder, DbConnection, Schema, Statement, Table, load_schema
from tests.sqlscan.plugin import OwnStatement

Key = tuple[str, ...]
State = Mapping[tuple[str, str], Mapping[Key, Image]]


@dataclass
class UndoWorld:
    """`act` is the session that will be undone, `run` is another user."""

    connection: DbConnection
    writes: list[RecordedWrite] = field(default_factory=list)

    @classmethod
    async def open(cls, dsn: str, ddl: str = "") -> "UndoWorld":
        world = cls(await DbConnection.connect(dsn, prepare=False))
        await world.run(ddl)
        return world

    async def run(self, sql: str) -> None:
        for statement in split_sql(sql):
            await self.connection.run([OwnStatement(statement)])

    async def read_column(self, sql: str) -> list[str]:
        (rows,) = await self.connection.run([OwnStatement(sql)])
        return [(row[0] or b"").decode() for row in rows.rows]

    async def schema(self) -> Schema:
        return await load_schema(self.connection, ["public"])

    async def act(
        self,
        sql: str,
        *,
        sets: tuple[str, ...] | None = None,
        moves: Mapping[Key, Key] | None = None,
        tag: str | None = None,
    ) -> None:
        """`sets`: the columns that the request named; `moves`: keys that it changed; else by `tag`, which rows keep."""
        schema = await self.schema()
        before = await self.read(schema)
        await self.connection.run([Statement("BEGIN")])
        await self.run(sql)
        await self.connection.run([Statement("COMMIT")])
        changes = compare(schema, before, await self.read(schema), moves or {}, tag)
        self.writes.append(
            RecordedWrite("committed", "update", "", "", tuple(replace(item, set_columns=sets) for item in changes))
        )

    async def read(self, schema: Schema) -> State:
        state: dict[tuple[str, str], dict[Key, Image]] = {}
        for name, table in schema.tables.items():
            if table.kind in ("table", "partitioned") and not table.is_partition:
                select = select_images(Builder(), table, "", lock=False)
                *_, rows, _ = await self.connection.run([Statement("BEGIN"), AS_OWNER, select, Statement("COMMIT")])
                state[name] = {row.identity: row.image for row in read_images(table, rows)}
        return state

    async def digest(self) -> dict[str, list[str]]:
        """Every row of every table in PostgreSQL's exact text."""
        state = await self.read(await self.schema())
        return {
            ".".join(name): sorted(repr(list(image.exact.items())) for image in rows.values())
            for name, rows in state.items()
        }

    async def plan(self) -> UndoPlan:
        schema = await self.schema()
        await self.connection.run([Statement("BEGIN")])
        try:
            return await make_plan(DatabaseReader(self.connection, lock=False), schema, fold_writes(self.writes))
        finally:
            await self.connection.run([Statement("ROLLBACK")])

    async def undo_selected(self, folded: Folded) -> tuple[UndoPlan, Applied | None]:
        return await self._undo(folded, skip=False)

    async def undo_folded(self, folded: Folded) -> Applied | None:
        return (await self._undo(folded, skip=False))[1]

    async def undo(self, *, skip: bool = False, choices: Choices = NO_CHOICES) -> tuple[UndoPlan, Applied | None]:
        """None when it refused. The undo's own changes become the next session's writes."""
        return await self._undo(fold_writes(self.writes), skip=skip, choices=choices)

    async def _undo(
        self, folded: Folded, *, skip: bool, choices: Choices = NO_CHOICES
    ) -> tuple[UndoPlan, Applied | None]:
        schema = await self.schema()
        await self.connection.run([Statement("BEGIN")])
        plan = await make_chosen_plan(DatabaseReader(self.connection, lock=True), schema, folded, choices)
        if plan.conflicts and not skip:
            await self.connection.run([Statement("ROLLBACK")])
            return plan, None
        if not plan.writes:
            await self.connection.run([Statement("ROLLBACK")])
            self.writes = []
            return plan, Applied((), ())
        try:
            applied = await apply_rows(self.connection, plan.writes)
        except PlanRejected as refused:
            await self.connection.run([Statement("ROLLBACK")])
            return replace(plan, conflicts=refused.conflicts), None
        await self.connection.run([Statement("COMMIT")])
        self.writes = [RecordedWrite("committed", "undo", "", "", applied.changes)]
        return plan, applied


def compare(
    schema: Schema, before: State, after: State, moves: Mapping[Key, Key], tag: str | None = None
) -> list[RowChange]:
    changes = []
    for name, table in schema.tables.items():
        old, new = dict(before.get(name, {})), dict(after.get(name, {}))
        if tag is not None:
            moves = find_moves(old, new, tag)
        for source, target in moves.items():
            if source in old and target in new:
                changes.append(make_change(table, old[source], new[target]))
        for key in moves:
            old.pop(key, None)
        for key in moves.values():
            new.pop(key, None)
        changes += [
            make_change(table, old.get(key), new.get(key))
            for key in dict.fromkeys([*old, *new])
            if key not in old or key not in new or old[key].exact != new[key].exact
        ]
    return changes


def find_moves(old: Mapping[Key, Image], new: Mapping[Key, Image], tag: str) -> dict[Key, Key]:
    places = {image.exact[tag]: key for key, image in new.items()}
    found = {key: places.get(image.exact[tag]) for key, image in old.items()}
    return {key: place for key, place in found.items() if place is not None and place != key}


def make_change(table: Table, before: Image | None, after: Image | None) -> RowChange:
    verb: Verb = "insert" if before is None else "delete" if after is None else "update"
    return RowChange(table.schema, table.name, verb, table.key, before, after)


def split_sql(sql: str) -> list[str]:
    """Splits at each line that ends a statement; a function's body keeps its own semicolons inside $$."""
    statements, current, quoted = [], "", False
    for line in sql.splitlines():
        current += line + "\n"
        quoted ^= line.count("$$") % 2 == 1
        if line.rstrip().endswith(";") and not quoted:
            statements.append(current)
            current = ""
    if current.strip():
        statements.append(current)
    return statements
