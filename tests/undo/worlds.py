"""Random schemas, and random writes on them, to test that an undo restores everything."""

from dataclasses import dataclass

from hypothesis import strategies as st

VALUES = {
    "int": ["0", "7", "-1"],
    "numeric(8,3)": ["1.200", "'NaN'", "-0.001"],
    "float8": ["'NaN'", "'-0'", "'Infinity'", "0.1"],
    "text": ["'a'", "''", "'NULL'", r"E'\\\"{},\n'"],
    "char(4)": ["'a'", "'abcd'"],
    "jsonb": ["'null'", """'{"a": [1, 1.0]}'"""],
    "json": ["'null'", """'{"a":1,  "a":2}'"""],
    "bytea": [r"'\x00ff'", "''"],
    "timestamptz": ["'infinity'", "'2020-02-02 02:02:02.000001+02'"],
    "int4range": ["'empty'", "'[1,5)'"],
    "datemultirange": ["'{[2020-01-01,2020-02-01)}'", "'{}'"],
    "text[]": ["'{}'", """'[0:1]={NULL,"a,b"}'"""],
    "pair": ["""'(1,"a,b")'""", "'(,)'"],
    "mood": ["'ok'", "'not ok'"],
}
TYPES = "CREATE TYPE pair AS (a int, b text);\nCREATE TYPE mood AS ENUM ('ok', 'not ok');\n"
_ON_DELETE = ("CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT", "NO ACTION DEFERRABLE INITIALLY DEFERRED")
_ON_DELETE_PAIR = ("CASCADE", "SET NULL", "SET NULL ({})", "SET DEFAULT ({})", "NO ACTION")
_ROWS = 5


@dataclass(frozen=True)
class TablePlan:
    """`parents` are numbers of tables (its own among them) with an ON DELETE action; keys are 1 to 5.

    Those of `pairs` are referred to by two columns, of which all such keys share `org`; None = no table has such keys.
    """

    number: int
    columns: tuple[str, ...]
    parents: tuple[tuple[int, str], ...]
    is_unique: bool
    is_stamped: bool
    pairs: tuple[tuple[int, str], ...] | None = None

    def ddl(self) -> str:
        columns = [f"c{place} {kind}" for place, kind in enumerate(self.columns)]
        references = [
            f"p{place} int{' DEFAULT 1' if action == 'SET DEFAULT' else ''} REFERENCES t{of} ON DELETE {action}"
            for place, (of, action) in enumerate(self.parents)
        ]
        stamps = [f"u int{' UNIQUE' if self.is_unique else ''}", "stamped timestamptz DEFAULT clock_timestamp()"]
        declared = ", ".join([*columns, *references, *stamps, *self._list_pairs()])
        statements = [f"CREATE TABLE t{self.number} (id int PRIMARY KEY, {declared});"]
        statements += [
            f"INSERT INTO t{self.number} (id, u{''.join(f', p{place}' for place in range(len(self.parents)))}) "
            f"VALUES ({row}, {row}{''.join(f', {1 + (row * (place + 2)) % row}' for place in range(len(self.parents)))});"
            for row in range(1, _ROWS + 1)
        ]
        if self.is_stamped:
            statements.append(
                f"CREATE TRIGGER stamp BEFORE UPDATE ON t{self.number} FOR EACH ROW EXECUTE FUNCTION stamp();"
            )
        return "\n".join(statements)

    def _list_pairs(self) -> list[str]:
        if self.pairs is None:
            return []
        columns = [f"q{place} int DEFAULT 1" for place in range(len(self.pairs))]
        keys = [
            f"FOREIGN KEY (org, q{place}) REFERENCES t{of} (org, id) ON DELETE {action.format(f'q{place}')}"
            for place, (of, action) in enumerate(self.pairs)
        ]
        return ["org int DEFAULT 1", *columns, "UNIQUE (org, id)", *keys]


@dataclass(frozen=True)
class Act:
    """One request of the session. `sets` are the columns that it names."""

    sql: str
    sets: tuple[str, ...] = ()


STAMP = """
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stamped := clock_timestamp(); RETURN NEW; END $$;
"""


@st.composite
def draw_tables(draw: st.DrawFn, *, with_pairs: bool = False) -> list[TablePlan]:
    """`with_pairs`: also foreign keys of two columns, which an API does not describe."""
    tables = []
    for number in range(draw(st.integers(1, 4))):
        parents = draw(st.lists(st.tuples(st.integers(0, number), st.sampled_from(_ON_DELETE)), max_size=2))
        columns = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
        pair = st.tuples(st.integers(0, number), st.sampled_from(_ON_DELETE_PAIR))
        pairs = tuple(draw(st.lists(pair, max_size=2))) if with_pairs else None
        tables.append(
            TablePlan(number, tuple(columns), tuple(parents), draw(st.booleans()), draw(st.booleans()), pairs)
        )
    return tables


@st.composite
def draw_act(draw: st.DrawFn, tables: list[TablePlan]) -> Act:
    table = draw(st.sampled_from(tables))
    ids = draw(st.lists(st.integers(1, 8), min_size=1, max_size=3, unique=True))
    where = f"WHERE id IN ({', '.join(map(str, ids))})"
    columns = [
        *(f"c{place}" for place in range(len(table.columns))),
        "u",
        *(f"p{place}" for place in range(len(table.parents))),
        *(f"q{place}" for place in range(len(table.pairs or ()))),
        *(["org"] if table.pairs is not None else []),
    ]
    named = tuple(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True)))
    match draw(st.sampled_from(["update", "update", "delete", "insert", "upsert"])):
        case "delete":
            return Act(f"DELETE FROM t{table.number} {where};")
        case "update":
            sets = ", ".join(f"{name} = {_draw_value(draw, table, name)}" for name in named)
            return Act(f"UPDATE t{table.number} SET {sets} {where};", named)
        case verb:
            values = ", ".join(str(_draw_value(draw, table, name)) for name in named)
            sets = ", ".join(f"{name} = excluded.{name}" for name in named)
            tail = f" ON CONFLICT (id) DO UPDATE SET {sets}" if verb == "upsert" else ""
            return Act(
                f"INSERT INTO t{table.number} (id, {', '.join(named)}) VALUES ({ids[0]}, {values}){tail};", named
            )


def _draw_value(draw: st.DrawFn, table: TablePlan, name: str) -> str:
    if name == "org":
        return draw(st.sampled_from(["NULL", "1", "2"]))
    if name[0] in "pqu":
        return draw(st.sampled_from(["NULL", "1", "2", "3", "6", "7"]))
    return draw(st.sampled_from(["NULL", *VALUES[table.columns[int(name[1:])]]]))
