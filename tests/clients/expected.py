"""What each step of the tours must bring, whichever client takes it.

`_SAME` holds on both backends; `_DIRECT` and `_API` are where they differ by design (docs/decisions/0017-…).
"""

from typing import Any

from tests.clients.conftest import ListedWrite
from tests.fixtures.bench import Backend

VersionedRow = dict[str, Any]
# Also in `js/tour.mjs`.
ODD = ["a,b", 'q"uote', "back\\slash", "(x)", "{a}", "50%", "a+b&c=d", "é ü \u2028", "🦊📚", "null", "*", "", "a.b:c"]


def answer(data: Any, *, status: int = 200, count: int | None = None) -> VersionedRow:
    return {"status": status, "data": data} | ({} if count is None else {"count": count})


def ids(*numbers: int) -> VersionedRow:
    return answer([{"id": number} for number in numbers])


def of_authors(*books: list[Any]) -> VersionedRow:
    return answer([{"id": number, "books": found} for number, found in enumerate(books, 1)])


def titles(*names: str) -> list[VersionedRow]:
    return [{"title": name} for name in names]


def refusal(status: int, code: str, message: str, *, details: Any = None, hint: str | None = None) -> VersionedRow:
    return {"status": status, "error": {"code": code, "message": message, "details": details, "hint": hint}}


def not_single(count: int) -> VersionedRow:
    details = f"The result contains {count} rows"
    return refusal(406, "PGRST116", "Cannot coerce the result to a single JSON object", details=details)


def no_column(name: str) -> VersionedRow:
    hint = 'Perhaps you meant to reference the column "books.title".'
    return refusal(400, "42703", f"column books.{name} does not exist", hint=hint)


def no_function(call: str, signature: str, hint: str) -> VersionedRow:
    details = (
        f"Searched for the function public.{signature} or with a single unnamed json/jsonb parameter, but no matches were "
        "found in the schema cache."
    )
    message = f"Could not find the function public.{call} in the schema cache"
    return refusal(404, "PGRST202", message, details=details, hint=f"Perhaps you meant to call the function {hint}")


def no_schema(name: str, exposed: str) -> VersionedRow:
    hint = f"Only the following schemas are exposed: {exposed}"
    return refusal(406, "PGRST106", f"Invalid schema: {name}", hint=hint)


def not_recorded(message: str, hint: str | None = None) -> VersionedRow:
    return refusal(403, "capture_unsupported", message, hint=hint)


_RELATED = [
    {
        "cardinality": "many-to-one",
        "embedding": "books with authors",
        "relationship": f"{key} using books({column}) and authors(id)",
    }
    for key, column in (("edited_by", "editor_id"), ("written_by", "author_id"))
]
_NO_SUMS = refusal(400, "PGRST123", "Use of aggregate functions is not allowed")
_NO_PLAN = refusal(
    406, "PGRST107", 'None of these media types are available: application/vnd.pgrst.plan+text; for="application/json"'
)
_NO_TITEL = refusal(400, "PGRST204", "Could not find the 'titel' column of 'books' in the schema cache")
_UNFILTERED = refusal(
    400,
    "filter_required",
    "An agent's update or delete needs a filter.",
    hint="Add a filter, for example ?id=eq.1.",
)

_SAME: dict[str, VersionedRow] = {
    "eq": ids(1),
    "neq": ids(2, 3, 4),
    "gt": ids(1, 2),
    "gte": ids(1, 2),
    "lt": ids(3),
    "lte": ids(1, 3),
    "like": ids(4),
    "likeCase": ids(),
    "likeStar": ids(4),
    "ilike": ids(4),
    "likeAllOf": ids(2),
    "likeAnyOf": ids(1, 4),
    "ilikeAllOf": ids(2, 4),
    "ilikeAnyOf": ids(1, 3),
    "regexMatch": ids(2, 3),
    "regexIMatch": ids(4),
    "isNull": ids(4),
    "isTrue": ids(1, 2),
    "isDistinct": ids(2, 3, 4),
    "in": ids(1, 4),
    "inNothing": ids(),
    "notIn": ids(3, 4),
    "contains": ids(2, 3),
    "containsJson": ids(3),
    "containsRange": ids(2, 3),
    "containedBy": ids(1, 3, 4),
    "containedByRange": ids(1, 2),
    "rangeGt": ids(2, 3),
    "rangeGte": ids(2, 3),
    "rangeLt": ids(1),
    "rangeLte": ids(1, 2),
    "rangeAdjacent": ids(1, 3),
    "overlaps": ids(1, 2, 3),
    "overlapsRange": ids(1, 2),
    "textSearch": ids(3),
    "textSearchPlain": ids(3),
    "textSearchPhrase": ids(2),
    "textSearchWeb": ids(2),
    "match": ids(1, 2),
    "not": ids(1, 3),
    "notInFilter": ids(3, 4),
    "or": ids(2, 3),
    "orNot": ids(1, 3),
    "filter": ids(2, 3),
    "jsonFilter": ids(3),
    "jsonTextFilter": ids(1),
    "twice": ids(2, 3),
    "orReferenced": of_authors([{"id": 2}], [{"id": 4}], []),
    "filterReferenced": of_authors([{"id": 2}], [], []),
    # Order, pages, counts, forms
    "order": ids(2, 1, 3, 4),
    "orderNullsFirst": ids(4, 3, 1, 2),
    "orderTwice": ids(4, 3, 2, 1),
    "orderJson": ids(3, 1, 2, 4),
    "orderByReferenced": answer(
        [
            {"id": number, "writer": {"name": name}}
            for number, name in ((3, "Tove"), (4, "Tove"), (1, "Astrid"), (2, "Astrid"))
        ]
    ),
    "orderReferenced": of_authors(titles("Ronja", "Pippi"), titles("Winter", "Comet"), []),
    "limit": ids(1, 2),
    "limitReferenced": of_authors([{"id": 1}], [{"id": 3}], []),
    "range": ids(2, 3),
    "rangeReferenced": of_authors([{"id": 2}], [{"id": 4}], []),
    "countExact": answer([{"id": 2}, {"id": 3}], status=206, count=4),
    "countPlanned": answer([{"id": 1}], status=206, count=4),
    "countEstimated": answer([{"id": 1}], status=206, count=4),
    "head": answer(None, count=2),
    "beyondTheEnd": refusal(
        416,
        "PGRST103",
        "Requested range not satisfiable",
        details="An offset of 9 was requested, but there are only 4 rows.",
    ),
    "single": answer({"title": "Comet"}),
    "singleOfMany": not_single(4),
    "singleOfNone": not_single(0),
    "maybeSingle": answer({"title": "Comet"}),
    "maybeSingleOfNone": answer(None),
    "stripNulls": answer([{"id": 2, "born": "1914-08-09"}, {"id": 3}]),
    "csv": answer("id,name,born\n1,Astrid,1907-11-14\n2,Tove,1914-08-09\n3,Nobody,"),
    "explain": _NO_PLAN,
    # What is selected
    "alias": answer([{"number": 1, "name": "Pippi"}]),
    "casts": answer({"isbn": "9007199254740993", "price": "9.50"}),
    "jsonPaths": answer({"pages": 160, "cm": 19, "text": "160"}),
    "toOne": answer([{"title": "Comet", "authors": {"name": "Tove", "born": "1914-08-09"}}]),
    "toOneByColumn": answer([{"title": "Ronja", "authors": {"name": "Tove"}}]),
    "twoAliases": answer([{"writer": {"name": "Tove"}, "editor": None}]),
    "ambiguous": refusal(
        300,
        "PGRST201",
        "Could not embed because more than one relationship was found for 'books' and 'authors'",
        details=_RELATED,
        hint="Try changing 'authors' to one of the following: 'authors!edited_by', 'authors!written_by'. "
        "Find the desired relationship in the 'details' key.",
    ),
    "toMany": of_authors(titles("Pippi", "Ronja"), titles("Comet", "Winter"), []),
    "oneToOne": answer([{"id": 1, "covers": {"colour": "red"}}, {"id": 2, "covers": None}]),
    "manyToMany": answer(
        [
            {"title": title, "genres": [{"name": name} for name in names]}
            for title, *names in (
                ("Pippi", "children"),
                ("Ronja", "children", "adventure"),
                ("Comet", "adventure"),
                ("Winter",),
            )
        ]
    ),
    "inner": of_authors(titles("Ronja")),
    "left": of_authors(titles("Ronja"), [], []),
    "anti": answer([{"name": "Nobody"}]),
    "nested": of_authors(
        [
            {"title": "Pippi", "genres": [{"name": "children"}], "covers": {"colour": "red"}},
            {"title": "Ronja", "genres": [{"name": "children"}, {"name": "adventure"}], "covers": None},
        ]
    ),
    "spread": answer([{"title": "Pippi", "writer": "Astrid"}]),
    "spreadToMany": answer(
        [{"id": 1, "titles": ["Pippi", "Ronja"]}, {"id": 2, "titles": ["Comet", "Winter"]}, {"id": 3, "titles": []}]
    ),
    "aggregate": _NO_SUMS,
    "countEmbedded": of_authors([{"count": 2}], [{"count": 2}], [{"count": 0}]),  # older than aggregates, always on
    "view": answer([{"id": 3, "title": "Comet"}]),
    # Functions
    "rpc": answer(21.5),
    "rpcGet": answer(21.5),
    "rpcDefault": answer("hello you"),
    "rpcText": answer('hello é "🦊" \\'),
    "rpcJson": answer(160),
    "rpcJsonHead": answer(160),
    "rpcRows": answer(
        [
            {"id": number, "title": title, "authors": {"name": "Astrid"}}
            for number, title in ((2, "Ronja"), (1, "Pippi"))
        ]
    ),
    "rpcLimit": answer([{"id": 1}], status=206, count=2),
    "rpcGetFilter": ids(4),
    "rpcHead": answer(None, count=2),
    "rpcSingle": answer({"id": 3, "title": "Comet"}),
    "rpcMaybe": answer(None),
    "rpcCsv": answer("id,title\n1,Pippi\n2,Ronja"),
    "rpcWritesByGet": refusal(405, "25006", "cannot execute INSERT in a read-only transaction"),
    # Mistakes
    "unknownTable": refusal(
        404,
        "PGRST205",
        "Could not find the table 'public.bookz' in the schema cache",
        hint="Perhaps you meant the table 'public.books'",
    ),
    "unknownColumn": no_column("titel"),
    "unknownFilter": no_column("titel"),
    "unknownRelation": refusal(
        400,
        "PGRST200",
        "Could not find a relationship between 'books' and 'visits' in the schema cache",
        details="Searched for a foreign key relationship between 'books' and 'visits' in the schema 'public', "
        "but no matches were found.",
    ),
    "unknownFunction": no_function("price_off(titles)", "price_off with parameter titles", "public.price_of"),
    "unknownArgument": no_function("price_of(title)", "price_of with parameter title", "public.price_of(titles)"),
    "wrongType": refusal(400, "22P02", 'invalid input syntax for type integer: "x"'),
    "badSyntax": refusal(
        400,
        "PGRST100",
        '"failed to parse logic tree ((id.eq.1,())" (line 1, column 12)',
        details='unexpected "(" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator '
        "(and, or)",
    ),
    "forbidden": refusal(403, "42501", "permission denied for view sealed"),
    # New rows
    "insert": answer(
        [
            {
                **dict.fromkeys(("editor_id", "isbn", "extra", "shelf", "in_print", "blurb")),
                "id": 101,
                "title": "Moomin",
                "author_id": 2,
                "price": 5,
                "tags": [],
            }
        ],
        status=201,
    ),
    "insertMany": answer(None, status=201, count=2),
    "insertDefaults": answer([{"id": 9, "price": 5}, {"id": 10, "price": 1}], status=201),
    "insertBig": answer({"isbn": "9223372036854775807"}, status=201),
    "insertOdd": answer([{"id": number, "body": body} for number, body in enumerate(ODD)], status=201),
    **{f"odd{number}": ids(number) for number in range(len(ODD))},
    "oddIn": ids(0, 3, 5, 6, 8),
    "oddOr": ids(0, 1, 2, 3),
    "oddContains": ids(),
    "upsert": answer({"id": 1, "price": 1}),
    "upsertMany": answer(None, status=201, count=2),
    "upsertDefaults": answer([{"id": 14, "price": 5}], status=201),
    "upsertIgnore": answer([{"id": 13}], status=201),
    # Changes
    "update": answer([{"id": 7, "price": 2}, {"id": 8, "price": 2}]),
    "updateCount": answer(None, status=204, count=1),
    "updateJson": answer({"extra": {"pages": 1, "deep": [None, "é"]}, "tags": ["a,b", 'q"x']}),
    "oddContainsNow": ids(3),
    "updateEmbedded": answer([{"id": 101, "authors": {"name": "Tove"}}]),
    "updateNone": ids(),
    "updateSingleOfNone": not_single(0),
    "updateSingleOfMany": not_single(2),
    "maxAffected": answer([{"id": 8, "price": 4}]),
    "maxAffectedExceeded": refusal(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details="The query affects 2 rows",
    ),
    "updateCsv": answer("id,title,price\n8,B,7"),
    "delete": answer([{"id": 7, "title": "A2"}]),
    "deleteCount": answer(None, status=204, count=2),
    "deleteNone": ids(),
    "cascade": answer(None, status=204),
    "call": answer(None, status=204),
    # Refusals
    "afterRollback": ids(8),
    "writeView": not_recorded("cheap is not a table, so its changes cannot be recorded.", "Write to its base table."),
    "clash": refusal(
        409,
        "23505",
        'duplicate key value violates unique constraint "authors_pkey"',
        details="Key (id)=(1) already exists.",
    ),
    "noParent": refusal(
        409,
        "23503",
        'insert or update on table "books" violates foreign key constraint "written_by"',
        details='Key (author_id)=(99) is not present in table "authors".',
    ),
    "missingName": refusal(
        400,
        "23502",
        'null value in column "name" of relation "authors" violates not-null constraint',
        details="Failing row contains (9, null, 2000-01-01).",
    ),
    "insertUnknownColumn": _NO_TITEL,
    "insertUnknownColumns": _NO_TITEL,
    "updateUnknownColumn": _NO_TITEL,
    "badValue": refusal(400, "22P02", 'invalid input syntax for type numeric: "much"'),
    "noSuchConflict": refusal(
        400, "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification"
    ),
    "unfilteredUpdate": _UNFILTERED,
    "unfilteredDelete": _UNFILTERED,
}

_DIRECT: dict[str, VersionedRow] = {
    "schema": no_schema("archive", "public"),
    "unknownSchema": no_schema("secret", "public"),
    "rollback": ids(8),
    "writeInner": ids(),  # written and journaled all the same
    "writeCast": answer("id\n8"),
    "writeSum": _NO_SUMS,
    "writeExplain": _NO_PLAN,
    "writeSchema": no_schema("archive", "public"),
}
_API: dict[str, VersionedRow] = {
    "schema": answer([{"id": 1, "title": "old"}]),
    "unknownSchema": no_schema("secret", "public, archive"),
    "rollback": refusal(
        400,
        "rollback_unsupported",
        "A project's API cannot roll back a write. Nothing was changed.",
        hint="Remove Prefer: tx=rollback and undo the write afterwards, or add a Postgres connection string.",
    ),
    "writeInner": not_recorded(
        "An inner join may hide rows that the write changed, so it cannot be recorded.",
        "Embed genres without !inner, or read the rows in a separate request.",
    ),
    "writeCast": not_recorded(
        "The CSV response of a write can contain only columns.", "Request JSON, or select plain columns."
    ),
    "writeSum": not_recorded("A write that returns aggregates cannot be recorded. Select its rows instead."),
    "writeExplain": not_recorded("A project's API cannot return the plan of a write."),
    "writeSchema": answer([{"id": 1, "title": "new"}]),
}


def expect(backend: Backend) -> dict[str, VersionedRow]:
    return _SAME | (_DIRECT if backend == "direct" else _API)


def expect_python(backend: Backend) -> dict[str, VersionedRow]:
    """What is left of it in a client that has no status, cannot roll back, and takes an empty body for no rows."""
    asked = expect(backend) | {"rpcJsonHead": answer(None)}  # by HEAD there, by POST in JavaScript
    return {step: _expect_in_python(seen) for step, seen in asked.items() if step not in ("rollback", "afterRollback")}


def _expect_in_python(seen: VersionedRow) -> VersionedRow:
    described = {name: value for name, value in seen.items() if name != "status"}
    return described | ({"data": []} if described.get("data", "") is None else {})


def list_expected_writes(backend: Backend) -> list[ListedWrite]:
    """Every row that the tour changes, of each write by itself."""
    only_direct: list[ListedWrite] = [("books", "update", (8,))] * 2
    only_api: list[ListedWrite] = [("papers", "update", (1,))]
    return [
        *(("books", "insert", (number,)) for number in (101, 7, 8, 9, 10, 11)),
        *(("notes", "insert", (number,)) for number in range(len(ODD))),
        ("books", "update", (1,)),
        ("books", "insert", (12,)),
        ("books", "update", (7,)),
        *(("books", "insert", (number,)) for number in (14, 13)),
        *(("books", "update", (number,)) for number in (7, 8, 8, 3, 101, 8, 8)),
        *(("books", "delete", (number,)) for number in (7, 9, 10)),
        *(only_direct if backend == "direct" else only_api),
        ("authors", "delete", (1,)),
        ("book_genres", "delete", (1, 1)),
        ("book_genres", "delete", (2, 1)),
        ("book_genres", "delete", (2, 2)),
        ("books", "delete", (1,)),
        ("books", "delete", (2,)),
        ("books", "update", (3,)),
        ("covers", "delete", (1,)),
    ]
