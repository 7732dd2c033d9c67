"""Random requests in PostgREST's contract, on the random tables of `tests/undo/worlds.py`."""

from typing import Any

from hypothesis import strategies as st

from tests.chaos.worlds import AgentCall
from tests.undo.worlds import TablePlan

VALUES: dict[str, list[Any]] = {
    "int": [0, 7, "-1"],
    "numeric(8,3)": [1.2, "NaN", -0.001],
    "float8": ["NaN", "-0", "Infinity", 0.1],
    "text": ["a", "", "NULL", '"\\,\n{}\u2028'],
    "char(4)": ["a", "abcd"],
    "jsonb": [{"a": [1, 1.0]}, "null", []],
    "json": [{"b": 1, "a": 2}, False],
    "bytea": ["\\x00ff", ""],
    "timestamptz": ["infinity", "2020-02-02T02:02:02.000001+02:00"],
    "int4range": ["empty", "[1,5)"],
    "datemultirange": ["{[2020-01-01,2020-02-01)}", "{}"],
    "text[]": [[], [None, "a,b"], '[0:1]={NULL,"a,b"}'],
    "pair": [{"a": 1, "b": "a,b"}, "(,)"],
    "mood": ["ok", "not ok"],
}
_PREFER = ("return=minimal", "return=representation", "return=minimal,tx=rollback")
_RESOLUTION = {
    "insert": "",
    "merge": ",resolution=merge-duplicates",
    "ignore": ",resolution=ignore-duplicates",
}
_ids = st.integers(1, 8)
_new_ids = st.integers(6, 8)  # few, so that rows come to refer to each other's new rows
_lists = st.lists(_ids, min_size=1, max_size=3, unique=True).map(lambda ids: ",".join(map(str, ids)))


@st.composite
def draw_call(draw: st.DrawFn, tables: list[TablePlan]) -> AgentCall:
    table = draw(st.sampled_from(tables))
    path = f"/t{table.number}"
    prefer = draw(st.sampled_from((*_PREFER[:2] * 3, _PREFER[2])))
    match draw(st.sampled_from(["patch", "patch", "move", "delete", "insert", "merge", "ignore"])):
        case "delete":
            return AgentCall("DELETE", f"{path}?{draw(_draw_filter(table))}", None, {"prefer": prefer})
        case "patch":
            body = _draw_row(draw, table, _draw_names(draw, table))
            return AgentCall("PATCH", f"{path}?{draw(_draw_filter(table))}", body, {"prefer": prefer})
        case "move":
            return AgentCall("PATCH", f"{path}?id=eq.{draw(_ids)}", {"id": draw(_ids)}, {"prefer": prefer})
        case verb:
            names = _draw_names(draw, table)
            ids = draw(st.lists(_new_ids if verb == "insert" else _ids, min_size=1, max_size=3, unique=True))
            rows = [{"id": number, **_draw_row(draw, table, names)} for number in ids]
            target = "" if verb == "insert" else f"?on_conflict={draw(st.sampled_from(['id', 'id', 'u']))}"
            return AgentCall("POST", path + target, rows, {"prefer": prefer + _RESOLUTION[verb]})


@st.composite
def _draw_filter(draw: st.DrawFn, table: TablePlan) -> str:
    parent = [f"p0=eq.{draw(_ids)}", "p0=is.null"] if table.parents else []
    choices = [
        f"id=in.({draw(_lists)})",
        f"id=not.in.({draw(_lists)})",
        f"u=gte.{draw(_ids)}",
        f"or=(id.eq.{draw(_ids)},u.eq.{draw(_ids)})",
        f"id=lt.{draw(_ids)}&c0=is.null",
        *parent,
    ]
    return draw(st.sampled_from(choices))


def _draw_names(draw: st.DrawFn, table: TablePlan) -> list[str]:
    columns = [
        *(f"c{place}" for place in range(len(table.columns))),
        "u",
        *(f"p{place}" for place in range(len(table.parents))),
    ]
    return draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))


def _draw_row(draw: st.DrawFn, table: TablePlan, names: list[str]) -> dict[str, Any]:
    return {name: draw(st.sampled_from([None, *_list_values(table, name)])) for name in names}


def _list_values(table: TablePlan, name: str) -> list[Any]:
    if name[0] == "p":
        return [1, 2, 6, 7, 8]
    return [1, 3, 6, 7, 8, 9] if name == "u" else VALUES[table.columns[int(name[1:])]]
