"""Random schemas in which rows take each other's unique values, and random writes that make them do so."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from tests.undo.worlds import Act

TAG = "tag"
"""A column that identifies a row whatever its key is."""
_ROWS = 5
_NUMBERS = tuple(str(number) for number in range(1, 10))
_WORDS = tuple(f"'{char}'" for char in "abcdefghi")
_DAYS = tuple(f"'2020-01-0{number}'" for number in range(1, 10))
_SPANS = tuple(f"'[{number * 10},{number * 10 + 5})'" for number in range(1, 10))

# how a column is declared, an index on it, and values of which the first are the rows'
PLACES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "int": ("int NOT NULL UNIQUE", "", _NUMBERS),
    "nullable": ("int UNIQUE", "", (*_NUMBERS, "NULL")),
    "one null": ("int UNIQUE NULLS NOT DISTINCT", "", (*_NUMBERS, "NULL")),
    "checked": ("int NOT NULL UNIQUE CHECK (a BETWEEN 1 AND 9)", "", _NUMBERS),
    "numeric": ("numeric NOT NULL UNIQUE", "", (*_NUMBERS, "1.00", "2.0")),
    "date": ("date NOT NULL UNIQUE", "", _DAYS),
    "short": ("varchar(1) NOT NULL UNIQUE", "", _WORDS),
    "char": ("char(3) NOT NULL UNIQUE", "", _WORDS),
    "lower": ("text NOT NULL", "CREATE UNIQUE INDEX ON {t} (lower(a));", (*_WORDS, "'A'", "'B'")),
    "partial": ("text NOT NULL", "CREATE UNIQUE INDEX ON {t} (a) WHERE flag;", _WORDS),
    "pair": ("int NOT NULL", "CREATE UNIQUE INDEX ON {t} (a, flag);", _NUMBERS),
    "span": ("int4range NOT NULL", "ALTER TABLE {t} ADD EXCLUDE USING gist (a WITH &&);", (*_SPANS, "'[12,42)'")),
    "deferred": ("int NOT NULL UNIQUE DEFERRABLE", "", _NUMBERS),
    "derived": ("int NOT NULL", "ALTER TABLE {t} ADD d int GENERATED ALWAYS AS (a % 10) STORED UNIQUE;", _NUMBERS),
}
_ACTIONS = ("CASCADE", "SET NULL", "NO ACTION", "RESTRICT")


@dataclass(frozen=True)
class OrderedTable:
    """`parents`: a table's number, and the actions ON UPDATE and ON DELETE. `is_line`: the first is in its key."""

    number: int
    place: str
    parents: tuple[tuple[int, str, str], ...]
    is_line: bool

    @property
    def name(self) -> str:
        return f"t{self.number}"

    @property
    def values(self) -> tuple[str, ...]:
        return PLACES[self.place][2]

    def ddl(self) -> str:
        declared, index, values = PLACES[self.place]
        references = [
            f"p{place} int REFERENCES t{of} ON UPDATE {update} ON DELETE {delete}"
            for place, (of, update, delete) in enumerate(self.parents)
        ]
        key = "PRIMARY KEY (p0, id)" if self.is_line else "PRIMARY KEY (id)"
        columns = ["id int NOT NULL", f"a {declared}", "flag bool NOT NULL DEFAULT true", "note text", *references]
        names = ", ".join(["id", "a", *(f"p{place}" for place in range(len(self.parents)))])
        rows = ", ".join(
            f"({row}, {values[row - 1]}{''.join(f', {1 + row % 3}' for _ in self.parents)})"
            for row in range(1, _ROWS + 1)
        )
        return (
            f"CREATE TABLE {self.name} ({', '.join(columns)}, {TAG} uuid DEFAULT gen_random_uuid(), {key});\n"
            f"{index.format(t=self.name)}\nINSERT INTO {self.name} ({names}) VALUES {rows};"
        )


@st.composite
def draw_ordered_tables(draw: st.DrawFn) -> list[OrderedTable]:
    tables: list[OrderedTable] = []
    for number in range(draw(st.integers(1, 3))):
        actions = st.sampled_from(_ACTIONS)
        roots = [table.number for table in tables if not table.is_line]
        of = st.sampled_from(roots) if roots else st.nothing()
        parents = draw(st.lists(st.tuples(of, actions, actions), max_size=2)) if roots else []
        is_line = bool(parents) and draw(st.booleans())
        tables.append(OrderedTable(number, draw(st.sampled_from(sorted(PLACES))), tuple(parents), is_line))
    return tables


@st.composite
def draw_ordered_act(draw: st.DrawFn, tables: list[OrderedTable]) -> Act:
    table = draw(st.sampled_from(tables))
    one, two = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    value = st.sampled_from(table.values)
    name = table.name
    match draw(st.sampled_from(["set", "set", "swap", "rotate", "rename", "swap keys", "delete", "insert", "parent"])):
        case "set":
            return Act(f"UPDATE {name} SET a = {draw(value)}, note = 'n' WHERE id = {one};")
        case "swap":
            return Act(_exchange(name, one, two, draw(value)))
        case "rotate":
            ids = draw(st.lists(st.integers(1, _ROWS), min_size=2, max_size=_ROWS, unique=True))
            return Act(_take_in_turn(name, ids, draw(value)))
        case "rename":
            return Act(f"UPDATE {name} SET id = {two} WHERE id = {one};")
        case "swap keys":
            return Act(
                f"UPDATE {name} SET id = 99 WHERE id = {one};\nUPDATE {name} SET id = {one} WHERE id = {two};\n"
                f"UPDATE {name} SET id = {two} WHERE id = 99;"
            )
        case "delete":
            return Act(f"DELETE FROM {name} WHERE id IN ({one}, {two});")
        case "parent":
            flag = draw(st.sampled_from(["true", "false"]))
            sets = "".join(f", p{place} = {draw(st.integers(1, 8))}" for place in range(len(table.parents)))
            return Act(f"UPDATE {name} SET flag = {flag}{sets} WHERE id IN ({one}, {two});")
        case _:
            parents = "".join(f", {draw(st.integers(1, 8))}" for _ in table.parents)
            names = ", ".join(["id", "a", *(f"p{place}" for place in range(len(table.parents)))])
            return Act(f"INSERT INTO {name} ({names}) VALUES ({one}, {draw(value)}{parents});")


def _exchange(name: str, one: int, two: int, between: str) -> str:
    """Exchanges the values of two rows by way of a third value."""
    return (
        f"CREATE TEMP TABLE kept AS SELECT id, a FROM {name} WHERE id IN ({one}, {two});\n"
        f"UPDATE {name} SET a = {between} WHERE id = {one};\n"
        f"UPDATE {name} SET a = (SELECT a FROM kept WHERE id = {one} LIMIT 1) WHERE id = {two};\n"
        f"UPDATE {name} SET a = (SELECT a FROM kept WHERE id = {two} LIMIT 1) WHERE id = {one};\n"
        "DROP TABLE kept;"
    )


def _take_in_turn(name: str, ids: Sequence[int], free: str) -> str:
    """The first row gets a free value, and each of the others the value of the row before it."""
    moves = [f"UPDATE {name} SET a = {free} WHERE id = {ids[0]};"]
    moves += [
        f"UPDATE {name} SET a = (SELECT a FROM kept WHERE id = {before} LIMIT 1) WHERE id = {number};"
        for before, number in pairwise(ids)
    ]
    return "\n".join([f"CREATE TEMP TABLE kept AS SELECT id, a FROM {name};", *moves, "DROP TABLE kept;"])
