"""A small schema without a database, random policies, and random requests with what each of them touches."""

from dataclasses import dataclass

from hypothesis import strategies as st

from basewarden.policy import Policy
from pgrest import Column, ForeignKey, Function, Name, PgrestError, Plan, Request, RestConfig, Schema, Table
from pgrest import parse_request as parse
from pgrest import plan_request as plan
from pgrest.schema.model import ComputedColumn, Relationship

ORDERS, CUSTOMERS, NOTES, OTHER = (
    ("public", "orders"),
    ("public", "customers"),
    ("public", "notes"),
    ("sales", "orders"),
)
TABLES: tuple[Name, ...] = (ORDERS, CUSTOMERS, NOTES, OTHER)
CLOSE, COUNT, TOTAL = ("public", "close_order"), ("public", "count_orders"), ("public", "total")
FUNCTIONS: tuple[Name, ...] = (CLOSE, COUNT, TOTAL)
CONFIG = RestConfig(schemas=("public", "sales"), calls_unknown_names=False, aggregates_enabled=True)
_KEY = ForeignKey(
    "orders_customer_fkey", ORDERS, ("customer",), CUSTOMERS, ("id",), "CASCADE", "NO ACTION", (), False, False, "SIMPLE"
)  # fmt: skip


def make_table(oid: int, name: Name, *columns: str) -> Table:
    shown = ("id", *columns)
    return Table(
        oid=oid, schema=name[0], name=name[1], kind="table",
        columns={one: Column(one, at, "text", "text", "S", nullable=True) for at, one in enumerate(shown)},
        primary_key=("id",), unique_keys=(), key=("id",),
        foreign_keys_out=(_KEY,) if name == ORDERS else (), foreign_keys_in=(_KEY,) if name == CUSTOMERS else (),
        triggers=(), rls_enabled=False, rls_forced=False, owner="o", comment=None,
        insertable=True, updatable=True, deletable=True, is_partition=False,
    )  # fmt: skip


def _make_function(oid: int, name: Name, volatility: str) -> Function:
    return Function(oid, *name, None, (), "pg_catalog", "int4", False, False, volatility)  # type: ignore[arg-type]  # a plain text


_JOIN = (("customer", "id"),)
SCHEMA = Schema(
    ("public", "sales"),
    {
        ORDERS: make_table(1, ORDERS, "customer", "state"),
        CUSTOMERS: make_table(2, CUSTOMERS, "name"),
        NOTES: make_table(3, NOTES, "body"),
        OTHER: make_table(4, OTHER, "state"),
    },
    functions={CLOSE: (_make_function(11, CLOSE, "v"),), COUNT: (_make_function(12, COUNT, "s"),)},
    relationships={
        ORDERS: (Relationship(ORDERS, CUSTOMERS, "many-to-one", _KEY.name, _JOIN),),
        CUSTOMERS: (Relationship(CUSTOMERS, ORDERS, "one-to-many", _KEY.name, (("id", "customer"),)),),
    },
    computed_columns={ORDERS: (ComputedColumn(TOTAL, ORDERS, "s", "int4"),)},
)


@dataclass(frozen=True)
class Asked:
    """A request as text, and what it reads, writes and calls."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    schema: str = "public"
    reads: frozenset[Name] = frozenset()
    writes: frozenset[Name] = frozenset()
    calls: frozenset[Name] = frozenset()
    is_filtered: bool = False
    may_write: bool = False

    def parse(self) -> Request:
        headers = [(b"accept-profile", self.schema.encode()), (b"content-profile", self.schema.encode())]
        headers += [(b"content-type", b"application/json"), (b"prefer", b"return=representation")]
        return parse(self.method, self.path, self.query.encode(), headers, self.body, config=CONFIG)

    def plan(self) -> Plan | None:
        """None where the schema has no such thing."""
        try:
            return plan(SCHEMA, self.parse(), CONFIG)
        except PgrestError:
            return None


# Made once: Hypothesis first looks through a new strategy, which takes longer than a draw.
_TABLE_SETS = st.none() | st.frozensets(st.sampled_from(TABLES))
_FUNCTION_SETS = st.none() | st.frozensets(st.sampled_from(FUNCTIONS))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    tables = draw(_TABLE_SETS)
    return Policy(
        can_write=draw(st.booleans()),
        tables=tables,
        read_only_tables=draw(st.frozensets(st.sampled_from(sorted(tables)))) if tables else frozenset(),
        functions=draw(_FUNCTION_SETS),
        needs_filter=draw(st.booleans()),
    )


_EMBEDS = {ORDERS: ("customers", CUSTOMERS), CUSTOMERS: ("orders", ORDERS)}


_ROUTINES = st.sampled_from((CLOSE, COUNT))
_ROUTINE_METHODS = st.sampled_from(("GET", "POST"))
_TABLES = st.sampled_from(TABLES)
_METHODS = st.sampled_from(("GET", "HEAD", "POST", "PATCH", "DELETE"))


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    return draw(_CALLS) if draw(st.integers(0, 4)) == 0 else draw(_OF_TABLES)


@st.composite
def _calls(draw: st.DrawFn) -> Asked:
    function = draw(_ROUTINES)
    method = draw(_ROUTINE_METHODS)
    is_write = function == CLOSE and method == "POST"
    body = b"{}" if method == "POST" else b""
    return Asked(method, f"/rpc/{function[1]}", body=body, calls=frozenset({function}), may_write=is_write)


@st.composite
def _of_tables(draw: st.DrawFn) -> Asked:
    table = draw(_TABLES)
    method = draw(_METHODS)
    shown, reads, calls = ["id"], {table}, set()
    if table in _EMBEDS and draw(st.booleans()):
        name, target = _EMBEDS[table]
        shown.append(draw(st.sampled_from((f"{name}(id)", f"...{name}(other:id)", f"{name}!inner(id)", f"x:{name}()"))))
        reads.add(target)
    if table == ORDERS and draw(st.booleans()):
        shown.append("total")
        calls.add(TOTAL)
    is_filtered = draw(st.booleans())
    query = f"select={','.join(shown)}" + ("&id=eq.1" if is_filtered else "")
    is_write = method not in ("GET", "HEAD")
    return Asked(
        method, f"/{table[1]}", query, b'{"id": "1"}' if method in ("POST", "PATCH") else b"", table[0],
        frozenset(reads), frozenset({table}) if is_write else frozenset(), frozenset(calls), is_filtered, is_write,
    )  # fmt: skip


_CALLS = _calls()
_OF_TABLES = _of_tables()
