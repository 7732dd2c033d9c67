"""The steps of `js/tour.mjs` with the Python clients, sync and async alike: a name, and what is sent by `execute`.

What must be seen is in `expected.py`.
"""

from collections.abc import Iterator
from typing import Any

from postgrest.types import CountMethod, ReturnMethod

from tests.clients.expected import ODD

Steps = Iterator[tuple[str, Any]]
EXACT = CountMethod.exact
MINIMAL = ReturnMethod.minimal


def walk(client: Any) -> Steps:
    yield from _filter(client)
    yield from _order_and_count(client)
    yield from _select(client)
    yield from _call(client)
    yield from _mistake(client)
    yield from _insert(client)
    yield from _change(client)
    yield from _be_refused(client)
    yield "cascade", client.table("authors").delete(returning=MINIMAL).eq("id", 1)
    yield "call", client.rpc("visit", {"who": "Ann"})


def _filter(client: Any) -> Steps:
    def ids() -> Any:
        return client.table("books").select("id").order("id")

    yield "eq", ids().eq("title", "Pippi")
    yield "neq", ids().neq("title", "Pippi")
    yield "gt", ids().gt("price", 9)
    yield "gte", ids().gte("price", 9.5)
    yield "lt", ids().lt("price", 9.5)
    yield "lte", ids().lte("price", 9.5)
    yield "like", ids().like("title", "%in%")
    yield "likeCase", ids().like("title", "%IN%")
    yield "likeStar", ids().like("title", "*in*")
    yield "ilike", ids().ilike("title", "%IN%")
    yield "likeAllOf", ids().like_all_of("title", "%o%,%n%")
    yield "likeAnyOf", ids().like_any_of("title", "P%,W%")
    yield "ilikeAllOf", ids().ilike_all_of("title", "%R%,%N%")
    yield "ilikeAnyOf", ids().ilike_any_of("title", "p%,c%")
    yield "regexMatch", ids().filter("title", "match", "^.o")
    yield "regexIMatch", ids().filter("title", "imatch", "^W")
    yield "isNull", ids().is_("price", None)
    yield "isTrue", ids().is_("in_print", True)
    yield "isDistinct", ids().filter("price", "isdistinct", "9.5")
    yield "in", ids().in_("title", ["Pippi", "Winter", "odd, (one)"])
    yield "inNothing", ids().in_("title", [])
    yield "notIn", ids().not_.in_("id", [1, 2])
    yield "contains", ids().contains("tags", ["wild"])
    yield "containsJson", ids().contains("extra", {"pages": 190})
    yield "containsRange", ids().contains("shelf", "[16,18)")
    yield "containedBy", ids().contained_by("tags", ["funny", "wild"])
    yield "containedByRange", ids().contained_by("shelf", "[1,20)")
    yield "rangeGt", ids().range_gt("shelf", (1, 10))
    yield "rangeGte", ids().range_gte("shelf", (9, 12))
    yield "rangeLt", ids().range_lt("shelf", (9, 12))
    yield "rangeLte", ids().range_lte("shelf", (0, 20))
    yield "rangeAdjacent", ids().range_adjacent("shelf", (9, 15))
    yield "overlaps", ids().overlaps("tags", ["long", "funny"])
    yield "overlapsRange", ids().ov("shelf", "[5,11)")
    yield "textSearch", ids().text_search("blurb", "fat & (rats | cat)", {"config": "english"})
    for step, kind, words in (
        ("textSearchPlain", "plain", "the comets cat"),
        ("textSearchPhrase", "phrase", "wild forests"),
        ("textSearchWeb", "web_search", "wild -comet"),
    ):
        yield step, ids().text_search("blurb", words, {"config": "english", "type": kind})
    yield "match", ids().match({"author_id": 1, "in_print": True})
    yield "not", ids().not_.is_("extra", None)
    yield "notInFilter", ids().filter("title", "not.in", '("Pippi","Ronja")')
    yield "or", ids().or_("price.lt.9,and(title.eq.Ronja,price.gte.12)")
    yield "orNot", ids().or_("id.eq.1,title.not.ilike.*n*")
    yield "filter", ids().filter("tags", "cs", "{wild}")
    yield "jsonFilter", ids().filter("extra->pages", "gt", "170")
    yield "jsonTextFilter", ids().eq("extra->size->cm->>0", "12")
    yield "twice", ids().gt("id", 1).lt("id", 4)
    embedded = client.table("authors").select("id, books!written_by(id)").order("id")
    yield "orReferenced", embedded.or_("price.gt.10,price.is.null", reference_table="books")
    embedded = client.table("authors").select("id, books!written_by(id)").order("id")
    yield "filterReferenced", embedded.eq("books.title", "Ronja")


def _order_and_count(client: Any) -> Steps:
    table = client.table("books")

    def authors(column: str) -> Any:
        return client.table("authors").select(f"id, books!written_by({column})").order("id")

    yield "order", table.select("id").order("price", desc=True, nullsfirst=False)
    yield "orderNullsFirst", table.select("id").order("price", nullsfirst=True)
    yield "orderTwice", table.select("id").order("author_id", desc=True).order("title", desc=True)
    yield "orderJson", table.select("id").order("extra->pages", desc=True, nullsfirst=False).order("id")
    by_writer = table.select("id, writer:authors!written_by(name)").order("writer(name)", desc=True)
    yield "orderByReferenced", by_writer.order("id")
    yield "orderReferenced", authors("title").order("title", desc=True, foreign_table="books")
    yield "limit", table.select("id").order("id").limit(2)
    yield "limitReferenced", authors("id").order("id", foreign_table="books").limit(1, foreign_table="books")
    yield "range", table.select("id").order("id").range(1, 2)
    yield "rangeReferenced", authors("id").order("id", foreign_table="books").range(1, 1, foreign_table="books")
    yield "countExact", table.select("id", count=EXACT).order("id").range(1, 2)
    yield "countPlanned", table.select("id", count=CountMethod.planned).order("id").limit(1)
    yield "countEstimated", table.select("id", count=CountMethod.estimated).order("id").limit(1)
    yield "head", table.select("*", count=EXACT, head=True).gt("price", 9)
    yield "beyondTheEnd", table.select("id", count=EXACT).range(9, 12)
    yield "single", table.select("title").eq("id", 3).single()
    yield "singleOfMany", table.select("title").single()
    yield "singleOfNone", table.select("title").eq("id", 999).single()
    yield "maybeSingle", table.select("title").eq("id", 3).maybe_single()
    yield "maybeSingleOfNone", table.select("title").eq("id", 999).maybe_single()
    yield "stripNulls", client.table("authors").select("id", "born").gt("id", 1).order("id").strip_nulls()
    yield "csv", client.table("authors").select("id", "name", "born").order("id").csv()
    yield "explain", table.select("id").explain()


def _select(client: Any) -> Steps:
    table = client.table("books")

    def authors(columns: str) -> Any:
        return client.table("authors").select(f"id, {columns}").order("id")

    yield "alias", table.select("number:id", "name:title").eq("id", 1)
    yield "casts", table.select("isbn::text, price::text").eq("id", 1).single()
    paths = "pages:extra->pages, cm:extra->size->cm->1, text:extra->>pages"
    yield "jsonPaths", table.select(paths).eq("id", 1).single()
    yield "toOne", table.select("title, authors!written_by(name, born)").eq("id", 3)
    yield "toOneByColumn", table.select("title, authors!editor_id(name)").eq("id", 2)
    yield "twoAliases", table.select("writer:authors!written_by(name), editor:authors!edited_by(name)").eq("id", 4)
    yield "ambiguous", table.select("title, authors(name)")
    yield "toMany", authors("books!written_by(title)").order("title", foreign_table="books")
    yield "oneToOne", table.select("id, covers(colour)").lt("id", 3).order("id")
    yield "manyToMany", table.select("title, genres(name)").order("id").order("id", foreign_table="genres")
    yield "inner", authors("books!written_by!inner(title)").gt("books.price", 10)
    yield "left", authors("books!written_by!left(title)").gt("books.price", 10)
    yield "anti", client.table("authors").select("name, books!written_by()").is_("books", None)
    nested = authors("books!written_by(title, genres(name), covers(colour))").eq("id", 1)
    yield "nested", nested.order("id", foreign_table="books").order("id", foreign_table="books.genres")
    yield "spread", table.select("title, ...authors!written_by(writer:name)").eq("id", 1)
    yield "spreadToMany", authors("...books!written_by(titles:title)").order("title", foreign_table="books")
    yield "aggregate", table.select("price.sum()")
    yield "countEmbedded", authors("books!written_by(count)")
    yield "view", client.table("cheap").select("*").order("id")


def _call(client: Any) -> Steps:
    yield "rpc", client.rpc("price_of", {"titles": ["Pippi", "Ronja"]})
    yield "rpcGet", client.rpc("price_of", {"titles": ["Pippi", "Ronja"]}, get=True)
    yield "rpcDefault", client.rpc("greet", {})
    yield "rpcText", client.rpc("greet", {"who": 'é "🦊" \\'}, get=True)
    yield "rpcJson", client.rpc("pages_of", {"info": {"pages": 160}})
    yield "rpcJsonHead", client.rpc("pages_of", {"info": {"pages": 160}}, head=True)
    rows = client.rpc("books_by", {"author": 1}).select("id, title, authors!written_by(name)")
    yield "rpcRows", rows.gt("price", 9).order("id", desc=True)
    yield "rpcLimit", client.rpc("books_by", {"author": 1}, count=EXACT).select("id").order("id").limit(1)
    yield "rpcGetFilter", client.rpc("books_by", {"author": 2}, get=True).select("id").is_("price", None)
    yield "rpcHead", client.rpc("books_by", {"author": 1}, head=True, count=EXACT)
    yield "rpcSingle", client.rpc("books_by", {"author": 2}).select("id, title").eq("id", 3).single()
    yield "rpcMaybe", client.rpc("books_by", {"author": 2}).select("id, title").eq("id", 1).maybe_single()
    yield "rpcCsv", client.rpc("books_by", {"author": 1}).select("id, title").order("id").csv()
    yield "rpcWritesByGet", client.rpc("visit", {"who": "x"}, get=True)


def _mistake(client: Any) -> Steps:
    table = client.table("books")
    yield "unknownTable", client.table("bookz").select("*")
    yield "unknownColumn", table.select("titel")
    yield "unknownFilter", table.select("id").eq("titel", 1)
    yield "unknownRelation", table.select("id, visits(who)")
    yield "unknownFunction", client.rpc("price_off", {"titles": []})
    yield "unknownArgument", client.rpc("price_of", {"title": "x"})
    yield "wrongType", table.select("id").eq("id", "x")
    yield "badSyntax", table.select("id").or_("id.eq.1,(")
    yield "forbidden", client.table("sealed").select("*")
    yield "schema", client.schema("archive").table("papers").select("*").eq("id", 1)
    yield "unknownSchema", client.schema("secret").table("papers").select("*")


def _insert(client: Any) -> Steps:
    table, notes = client.table("books"), client.table("notes")
    yield "insert", table.insert({"title": "Moomin", "author_id": 2})
    rows = [{"id": 7, "title": "A"}, {"id": 8, "title": "B", "price": 3}]
    yield "insertMany", table.insert(rows, count=EXACT, returning=MINIMAL)
    rows = [{"id": 9, "title": "C"}, {"id": 10, "title": "D", "price": 1}]
    yield "insertDefaults", table.insert(rows, default_to_null=False).select("id", "price")
    yield "insertBig", table.insert({"id": 11, "title": "Big", "isbn": 2**63 - 1}).select("isbn::text").single()
    yield "insertOdd", notes.insert([{"id": number, "body": body} for number, body in enumerate(ODD)])
    for number, body in enumerate(ODD):
        yield f"odd{number}", notes.select("id").eq("body", body)
    yield "oddIn", notes.select("id").in_("body", ["a,b", "(x)", "🦊📚", "50%", "a+b&c=d"]).order("id")
    odd = r'body.eq."q\"uote",body.eq."back\\slash",body.in.("a,b","(x)")'
    yield "oddOr", notes.select("id").or_(odd).order("id")
    yield "oddContains", table.select("id").contains("tags", ["a,b", 'q"x'])

    yield "upsert", table.upsert({"title": "Pippi", "price": 1}, on_conflict="title").select("id", "price").single()
    rows = [{"id": 7, "title": "A2"}, {"id": 12, "title": "E"}]
    yield "upsertMany", table.upsert(rows, count=EXACT, returning=MINIMAL)
    upsert = table.upsert([{"id": 14, "title": "G"}], default_to_null=False, on_conflict="id")
    yield "upsertDefaults", upsert.select("id", "price")
    upsert = table.upsert([{"id": 1, "title": "X"}, {"id": 13, "title": "F"}], ignore_duplicates=True)
    yield "upsertIgnore", upsert.select("id")


def _change(client: Any) -> Steps:
    table = client.table("books")
    yield "update", table.update({"price": 2}).in_("id", [7, 8]).select("id", "price").order("id")
    yield "updateCount", table.update({"price": 3}, count=EXACT, returning=MINIMAL).eq("id", 8)
    update = table.update({"extra": {"pages": 1, "deep": [None, "é"]}, "tags": ["a,b", 'q"x']})
    yield "updateJson", update.eq("id", 3).select("extra", "tags").single()
    yield "oddContainsNow", table.select("id").contains("tags", ["a,b", 'q"x'])
    yield "updateEmbedded", table.update({"price": 6}).eq("id", 101).select("id, authors!written_by(name)")
    yield "updateNone", table.update({"price": 6}).eq("id", 999)
    yield "updateSingleOfNone", table.update({"price": 6}).eq("id", 999).single()
    yield "updateSingleOfMany", table.update({"price": 6}).in_("id", [7, 8]).single()
    yield "maxAffected", table.update({"price": 4}).eq("id", 8).max_affected(1).select("id", "price")
    yield "maxAffectedExceeded", table.update({"price": 4}).in_("id", [7, 8]).max_affected(1)
    yield "updateCsv", table.update({"price": 7}).eq("id", 8).select("id", "title", "price").csv()
    yield "delete", table.delete().eq("id", 7).select("id", "title")
    yield "deleteCount", table.delete(count=EXACT, returning=MINIMAL).in_("id", [9, 10])
    yield "deleteNone", table.delete().eq("id", 999)


def _be_refused(client: Any) -> Steps:
    """Not on every backend, and not all of it."""
    table, authors = client.table("books"), client.table("authors")
    yield "writeInner", table.update({"price": 8}).eq("id", 8).select("id, genres!inner(name)")
    yield "writeCast", table.update({"price": 9}).eq("id", 8).select("id::text").csv()
    yield "writeSum", table.update({"price": 9}).eq("id", 8).select("price.sum()")
    yield "writeExplain", table.update({"price": 9}).eq("id", 8).explain()
    yield "writeView", client.table("cheap").update({"title": "x"}).eq("id", 8)
    yield "writeSchema", client.schema("archive").table("papers").update({"title": "new"}).eq("id", 1)

    yield "clash", authors.insert({"id": 1, "name": "again"})
    yield "noParent", table.insert({"id": 20, "title": "Orphan", "author_id": 99})
    yield "missingName", authors.insert({"id": 9, "born": "2000-01-01"})
    yield "insertUnknownColumn", table.insert({"titel": "x"})
    yield "insertUnknownColumns", table.insert([{"titel": "x"}])
    yield "updateUnknownColumn", table.update({"titel": "x"}).eq("id", 8)
    yield "badValue", table.insert({"title": "Bad", "price": "much"})
    yield "noSuchConflict", table.upsert({"title": "Pippi"}, on_conflict="price")
    yield "unfilteredUpdate", table.update({"price": 0})
    yield "unfilteredDelete", table.delete()
