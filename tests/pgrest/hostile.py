"""Requests as an attacker who knows the grammar makes them up: half of them valid, half not."""

from urllib.parse import quote, urlencode

from hypothesis import strategies as st

MARK = "zqx"
"""Stands in every name and value that is made up; it must never get into SQL but as a quoted name."""


def weighted(*choices: tuple[int, st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    """`one_of` takes no weights, and counts a strategy that it is given twice once."""
    drawn = [number for number, (weight, _) in enumerate(choices) for _ in range(weight)]
    return st.sampled_from(drawn).flatmap(lambda number: choices[number][1])


TABLES = ("customers", "orders", "products", "items", "passports", "staff", "notes", "rooms", "customer_names")
COLUMNS = (
    "id", "name", "email", "tags", "profile", "born", "customer_id", "payer_id", "state", "total", "placed", "period",
    "sku", "title", "price", "words", "amount", "number", "boss_id", "body", "at", "place", "label", "initials",
)  # fmt: skip
OPERATORS = (
    "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "cs", "cd", "ov", "sl", "sr", "nxr",
    "nxl", "adj", "in", "is", "isdistinct", "fts", "plfts", "phfts", "wfts", "eq(any)", "gt(all)", "fts(english)",
)  # fmt: skip
_JUNK = st.text(
    st.sampled_from("abz019 .,:;!?*()[]{}<>=&|+-/\\\"'`$#@%^~_\t\n\0é漢\U0001f600"), min_size=0, max_size=12
)
_MADE_UP = _JUNK.map(lambda junk: f"{MARK}{junk}{MARK}")
_ATTACKS = st.sampled_from(
    [
        f"{MARK}'; DROP TABLE customers; --", f'{MARK}"; SELECT pg_sleep(9)--', f"{MARK}\\", f"{MARK}$$", f"{MARK}/*",
        f"1);{MARK}(", f"{MARK}\0", f"{{{MARK}", f"({MARK},", f"[{MARK},{MARK}]", "9" * 40, "-1", "1e999", "NaN", "",
        f'{{"a":"{MARK}"}}', f'"{MARK}"', f"E'{MARK}'", "\ufeff", "(" * 120, f"{MARK}%00", f'U&"\\0{MARK}"',
    ]
)  # fmt: skip
_known = st.sampled_from(COLUMNS)
_quoted = st.one_of(_MADE_UP, _ATTACKS).map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
names = weighted((12, _known), (1, st.sampled_from(TABLES)), (4, _quoted), (1, _MADE_UP), (1, _ATTACKS))
values = st.one_of(_MADE_UP, _ATTACKS, st.sampled_from(["1", "2", "a", "null", "true", "(1,2)", "{a,b}", "2026-01-01"]))


@st.composite
def fields(draw: st.DrawFn) -> str:
    name = draw(names)
    path = draw(
        st.sampled_from(["", "", "", "->a", "->>a", "->0", "->a->>b", f"->>{MARK}", "->", "::text", f"::{MARK}"])
    )
    aggregate = draw(st.sampled_from(["", "", "", ".sum()", ".count()", ".max()::int"]))
    alias = draw(st.sampled_from(["", "", f"{MARK}:", "a:"]))
    return f"{alias}{name}{path}{aggregate}"


def _embeds(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda spread, table, hint, items: f"{spread}{table}{hint}({','.join(items)})",
        st.sampled_from(["", "", "...", "a:", f"{MARK}:"]),
        st.one_of(st.sampled_from(TABLES), names),
        st.sampled_from(["", "", "!inner", "!customer_id", "!left", f"!{MARK}", "!customer_id!inner"]),
        st.lists(inner, max_size=3),
    )


selects = st.recursive(st.one_of(fields(), st.just("*")), _embeds, max_leaves=6)
filters = st.builds(
    lambda negation, operator, value: f"{negation}{operator}.{value}",
    st.sampled_from(["", "", "not."]),
    st.sampled_from(OPERATORS),
    values,
)
conditions = st.recursive(
    st.builds(lambda name, one: f"{name}.{one}", names, filters),
    lambda inner: st.builds(
        lambda operator, parts: f"{operator}({','.join(parts)})",
        st.sampled_from(["and", "or", "not.and", "not.or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
orders = st.builds(
    lambda field, ending: f"{field}{ending}",
    fields(),
    st.sampled_from(["", "", ".asc", ".desc", ".desc.nullslast", ".nullsfirst", f".{MARK}"]),
)
_keys = st.builds(lambda path, name: f"{path}{name}", st.sampled_from([*[""] * 8, "orders.", f"{MARK}."]), names)
_parameters = st.one_of(
    st.tuples(st.just("select"), st.lists(selects, max_size=4).map(",".join)),
    st.tuples(_keys, filters),
    st.tuples(st.sampled_from(["or", "and", "not.or", "orders.or"]), conditions.map(lambda text: f"({text})")),
    st.tuples(st.sampled_from(["order", "orders.order"]), st.lists(orders, max_size=2).map(",".join)),
    st.tuples(st.sampled_from(["limit", "offset", "orders.limit"]), st.sampled_from(["0", "1", "-1", MARK, "9" * 30])),
    st.tuples(st.sampled_from(["columns", "on_conflict"]), st.lists(names, max_size=3).map(",".join)),
    st.tuples(values, values),
)
queries = st.lists(_parameters, max_size=4).map(lambda pairs: urlencode(pairs, errors="replace"))
paths = weighted(
    (12, st.sampled_from([f"/{table}" for table in TABLES])),
    (1, names.map(lambda name: f"/{name}")),
    (2, st.sampled_from(["/", "/rpc/add", "/rpc/best_customers", "/rpc/echo", "/rpc/sum_all", f"/rpc/{MARK}"])),
)
methods = st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"])
objects = st.dictionaries(
    names, st.one_of(values, st.integers(), st.none(), st.booleans(), st.lists(values)), max_size=3
)
headers = st.lists(
    st.one_of(
        st.tuples(
            st.just("prefer"),
            st.sampled_from(
                [
                    "return=representation", "return=headers-only", "count=exact", "count=planned", "count=estimated",
                    "resolution=merge-duplicates,return=representation", "resolution=ignore-duplicates",
                    "missing=default", "handling=strict", "handling=strict,max-affected=1", "timezone=UTC", "tx=rollback",
                ]
            ),
        ),
        st.tuples(
            st.just("accept"),
            st.sampled_from(
                [
                    "*/*", "text/csv", "application/vnd.pgrst.object+json", "application/vnd.pgrst.array+json;nulls=stripped",
                    "application/vnd.pgrst.plan+json", "application/geo+json", "application/openapi+json", MARK, "a/b;q=x",
                ]
            ),
        ),
        st.tuples(st.just("range"), st.sampled_from(["0-1", "5-2", "0-", "-", MARK, "99999999999999999999-"])),
        st.tuples(
            st.just("content-type"),
            st.sampled_from(
                ["application/json", "text/csv", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream", MARK]
            ),
        ),
        st.tuples(st.sampled_from(["accept-profile", "content-profile"]), st.sampled_from(["public", "public", MARK])),
        st.tuples(st.just("cookie"), _MADE_UP),
    ),
    max_size=2,
)  # fmt: skip


def encode_path(path: str) -> str:
    return quote(path, safe="/")
