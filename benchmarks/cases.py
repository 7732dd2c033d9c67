"""What is asked of every server: the same requests on the demo's shop and on tables of the benchmark's own."""

from dataclasses import dataclass

import psycopg

HIGHEST_ORDER = 14_000
ROLE = "service_role"
_COLUMNS = "select=order_id,line_no,product_id,quantity,unit_price"


@dataclass(frozen=True)
class Case:
    """`path` is below the API's root, and may hold `{n}`; `statements` says that pgbench can send the same."""

    name: str
    title: str
    method: str
    path: str
    body: str = ""
    highest: int = 1
    statements: bool = False

    @property
    def is_write(self) -> bool:
        return self.method in ("POST", "PATCH", "DELETE") and not self.path.startswith("/rpc/")


_ROWS = ",".join(f'{{"body":"row {number}","n":{number}}}' for number in range(1000))
CASES = (
    Case(
        "read", "20 rows", "GET", f"/order_items?{_COLUMNS}&order=order_id,line_no&limit=20", statements=True
    ),
    Case(
        "row", "one row by key", "GET", "/order_items?order_id=eq.{n}&line_no=eq.1", highest=HIGHEST_ORDER,
        statements=True,
    ),
    Case("thousand", "1,000 rows", "GET", f"/order_items?{_COLUMNS}&order=order_id,line_no&limit=1000"),
    Case(
        "embed", "three levels", "GET",
        "/customers?select=id,full_name,orders(id,status,order_items(line_no,quantity,products(id,name)))"
        "&order=id&limit=5",
    ),
    Case("rpc", "function", "GET", "/rpc/search_products?q=filter"),
    Case("insert", "insert one", "POST", "/bench_notes", '{"body":"a note","n":{n}}', highest=1_000_000),
    Case("bulk", "insert 1,000", "POST", "/bench_notes", f"[{_ROWS}]"),
    Case(
        "update", "update one", "PATCH", "/order_items?order_id=eq.{n}&line_no=eq.1", '{"discount":"0.10"}',
        highest=HIGHEST_ORDER, statements=True,
    ),
)  # fmt: skip


def make_table_cases(rows: int) -> tuple[Case, ...]:
    """The same two requests on a table of any size."""
    table = f"bench_rows_{rows}"
    return (
        Case("page", f"20 of {rows:,} rows", "GET", f"/{table}?id=gte.{{n}}&order=id&limit=20", highest=rows),
        Case("key", f"update 1 of {rows:,}", "PATCH", f"/{table}?id=eq.{{n}}", '{"n":{n}}', highest=rows),
    )


async def make_tables(dsn: str, sizes: tuple[int, ...]) -> None:
    """As the login that owns the shop. The largest takes a while."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(
            "CREATE TABLE IF NOT EXISTS bench_notes "
            "(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, n integer)"
        )
        await conn.execute(f"GRANT ALL ON bench_notes TO {ROLE}".encode())
        for rows in sizes:
            await conn.execute(
                f"CREATE TABLE bench_rows_{rows} AS SELECT id, 'row ' || id AS body, id AS n "
                f"FROM generate_series(1, {rows}) AS id".encode()
            )
            await conn.execute(f"ALTER TABLE bench_rows_{rows} ADD PRIMARY KEY (id)".encode())
            await conn.execute(f"GRANT ALL ON bench_rows_{rows} TO {ROLE}".encode())
            await conn.execute(f"ANALYZE bench_rows_{rows}".encode())
