// Every step that both JavaScript clients take: its name, and the query, which is sent when it is awaited.
// What they must see is in ../expected.py; ../tour.py takes the same steps with the Python clients.
export const ODD = ["a,b", 'q"uote', "back\\slash", "(x)", "{a}", "50%", "a+b&c=d", "é ü \u2028", "🦊📚", "null", "*", "", "a.b:c"];

export function* walkReads(client) {
  const from = (table) => client.from(table);
  const ids = () => from("books").select("id").order("id");
  const byAuthor = (embed) => from("authors").select(`id, ${embed}`).order("id");

  yield ["eq", ids().eq("title", "Pippi")];
  yield ["neq", ids().neq("title", "Pippi")];
  yield ["gt", ids().gt("price", 9)];
  yield ["gte", ids().gte("price", 9.5)];
  yield ["lt", ids().lt("price", 9.5)];
  yield ["lte", ids().lte("price", 9.5)];
  yield ["like", ids().like("title", "%in%")];
  yield ["likeCase", ids().like("title", "%IN%")];
  yield ["likeStar", ids().like("title", "*in*")];
  yield ["ilike", ids().ilike("title", "%IN%")];
  yield ["likeAllOf", ids().likeAllOf("title", ["%o%", "%n%"])];
  yield ["likeAnyOf", ids().likeAnyOf("title", ["P%", "W%"])];
  yield ["ilikeAllOf", ids().ilikeAllOf("title", ["%R%", "%N%"])];
  yield ["ilikeAnyOf", ids().ilikeAnyOf("title", ["p%", "c%"])];
  yield ["regexMatch", ids().regexMatch("title", "^.o")];
  yield ["regexIMatch", ids().regexIMatch("title", "^W")];
  yield ["isNull", ids().is("price", null)];
  yield ["isTrue", ids().is("in_print", true)];
  yield ["isDistinct", ids().isDistinct("price", 9.5)];
  yield ["in", ids().in("title", ["Pippi", "Winter", "odd, (one)"])];
  yield ["inNothing", ids().in("title", [])];
  yield ["notIn", ids().notIn("id", [1, 2])];
  yield ["contains", ids().contains("tags", ["wild"])];
  yield ["containsJson", ids().contains("extra", { pages: 190 })];
  yield ["containsRange", ids().contains("shelf", "[16,18)")];
  yield ["containedBy", ids().containedBy("tags", ["funny", "wild"])];
  yield ["containedByRange", ids().containedBy("shelf", "[1,20)")];
  yield ["rangeGt", ids().rangeGt("shelf", "(1,10)")];
  yield ["rangeGte", ids().rangeGte("shelf", "(9,12)")];
  yield ["rangeLt", ids().rangeLt("shelf", "(9,12)")];
  yield ["rangeLte", ids().rangeLte("shelf", "(0,20)")];
  yield ["rangeAdjacent", ids().rangeAdjacent("shelf", "(9,15)")];
  yield ["overlaps", ids().overlaps("tags", ["long", "funny"])];
  yield ["overlapsRange", ids().overlaps("shelf", "[5,11)")];
  yield ["textSearch", ids().textSearch("blurb", "fat & (rats | cat)", { config: "english" })];
  yield ["textSearchPlain", ids().textSearch("blurb", "the comets cat", { config: "english", type: "plain" })];
  yield ["textSearchPhrase", ids().textSearch("blurb", "wild forests", { config: "english", type: "phrase" })];
  yield ["textSearchWeb", ids().textSearch("blurb", "wild -comet", { config: "english", type: "websearch" })];
  yield ["match", ids().match({ author_id: 1, in_print: true })];
  yield ["not", ids().not("extra", "is", null)];
  yield ["notInFilter", ids().not("title", "in", '("Pippi","Ronja")')];
  yield ["or", ids().or("price.lt.9,and(title.eq.Ronja,price.gte.12)")];
  yield ["orNot", ids().or("id.eq.1,title.not.ilike.*n*")];
  yield ["filter", ids().filter("tags", "cs", "{wild}")];
  yield ["jsonFilter", ids().filter("extra->pages", "gt", "170")];
  yield ["jsonTextFilter", ids().eq("extra->size->cm->>0", "12")];
  yield ["twice", ids().gt("id", 1).lt("id", 4)];
  yield ["orReferenced", byAuthor("books!written_by(id)").or("price.gt.10,price.is.null", { referencedTable: "books" })];
  yield ["filterReferenced", byAuthor("books!written_by(id)").eq("books.title", "Ronja")];

  yield ["order", from("books").select("id").order("price", { ascending: false, nullsFirst: false })];
  yield ["orderNullsFirst", from("books").select("id").order("price", { nullsFirst: true })];
  yield ["orderTwice", from("books").select("id").order("author_id", { ascending: false }).order("title", { ascending: false })];
  yield ["orderJson", from("books").select("id").order("extra->pages", { ascending: false, nullsFirst: false }).order("id")];
  yield ["orderByReferenced", from("books").select("id, writer:authors!written_by(name)").order("writer(name)", { ascending: false }).order("id")];
  yield ["orderReferenced", byAuthor("books!written_by(title)").order("title", { ascending: false, referencedTable: "books" })];
  yield ["limit", ids().limit(2)];
  yield ["limitReferenced", byAuthor("books!written_by(id)").order("id", { referencedTable: "books" }).limit(1, { referencedTable: "books" })];
  yield ["range", ids().range(1, 2)];
  yield ["rangeReferenced", byAuthor("books!written_by(id)").order("id", { referencedTable: "books" }).range(1, 1, { referencedTable: "books" })];
  yield ["countExact", from("books").select("id", { count: "exact" }).order("id").range(1, 2)];
  yield ["countPlanned", from("books").select("id", { count: "planned" }).order("id").limit(1)];
  yield ["countEstimated", from("books").select("id", { count: "estimated" }).order("id").limit(1)];
  yield ["head", from("books").select("*", { count: "exact", head: true }).gt("price", 9)];
  yield ["beyondTheEnd", from("books").select("id", { count: "exact" }).range(9, 12)];
  yield ["single", from("books").select("title").eq("id", 3).single()];
  yield ["singleOfMany", from("books").select("title").single()];
  yield ["singleOfNone", from("books").select("title").eq("id", 999).single()];
  yield ["maybeSingle", from("books").select("title").eq("id", 3).maybeSingle()];
  yield ["maybeSingleOfNone", from("books").select("title").eq("id", 999).maybeSingle()];
  yield ["stripNulls", from("authors").select("id, born").gt("id", 1).order("id").stripNulls()];
  yield ["csv", from("authors").select("id, name, born").order("id").csv()];
  yield ["explain", ids().explain()];

  yield ["alias", from("books").select("number:id, name:title").eq("id", 1)];
  yield ["casts", from("books").select("isbn::text, price::text").eq("id", 1).single()];
  yield ["jsonPaths", from("books").select("pages:extra->pages, cm:extra->size->cm->1, text:extra->>pages").eq("id", 1).single()];
  yield ["toOne", from("books").select("title, authors!written_by(name, born)").eq("id", 3)];
  yield ["toOneByColumn", from("books").select("title, authors!editor_id(name)").eq("id", 2)];
  yield ["twoAliases", from("books").select("writer:authors!written_by(name), editor:authors!edited_by(name)").eq("id", 4)];
  yield ["ambiguous", from("books").select("title, authors(name)")];
  yield ["toMany", byAuthor("books!written_by(title)").order("title", { referencedTable: "books" })];
  yield ["oneToOne", from("books").select("id, covers(colour)").lt("id", 3).order("id")];
  yield ["manyToMany", from("books").select("title, genres(name)").order("id").order("id", { referencedTable: "genres" })];
  yield ["inner", byAuthor("books!written_by!inner(title)").gt("books.price", 10)];
  yield ["left", byAuthor("books!written_by!left(title)").gt("books.price", 10)];
  yield ["anti", from("authors").select("name, books!written_by()").is("books", null)];
  yield ["nested", byAuthor("books!written_by(title, genres(name), covers(colour))").eq("id", 1)
    .order("id", { referencedTable: "books" }).order("id", { referencedTable: "books.genres" })];
  yield ["spread", from("books").select("title, ...authors!written_by(writer:name)").eq("id", 1)];
  yield ["spreadToMany", byAuthor("...books!written_by(titles:title)").order("title", { referencedTable: "books" })];
  yield ["aggregate", from("books").select("price.sum()")];
  yield ["countEmbedded", byAuthor("books!written_by(count)")];
  yield ["view", from("cheap").select().order("id")];

  yield ["rpc", client.rpc("price_of", { titles: ["Pippi", "Ronja"] })];
  yield ["rpcGet", client.rpc("price_of", { titles: ["Pippi", "Ronja"] }, { get: true })];
  yield ["rpcDefault", client.rpc("greet")];
  yield ["rpcText", client.rpc("greet", { who: 'é "🦊" \\' }, { get: true })];
  yield ["rpcJson", client.rpc("pages_of", { info: { pages: 160 } })];
  yield ["rpcJsonHead", client.rpc("pages_of", { info: { pages: 160 } }, { head: true })];
  yield ["rpcRows", client.rpc("books_by", { author: 1 }).select("id, title, authors!written_by(name)").gt("price", 9).order("id", { ascending: false })];
  yield ["rpcLimit", client.rpc("books_by", { author: 1 }, { count: "exact" }).select("id").order("id").limit(1)];
  yield ["rpcGetFilter", client.rpc("books_by", { author: 2 }, { get: true }).select("id").is("price", null)];
  yield ["rpcHead", client.rpc("books_by", { author: 1 }, { head: true, count: "exact" })];
  yield ["rpcSingle", client.rpc("books_by", { author: 2 }).select("id, title").eq("id", 3).single()];
  yield ["rpcMaybe", client.rpc("books_by", { author: 2 }).select("id, title").eq("id", 1).maybeSingle()];
  yield ["rpcCsv", client.rpc("books_by", { author: 1 }).select("id, title").order("id").csv()];
  yield ["rpcWritesByGet", client.rpc("visit", { who: "x" }, { get: true })];

  yield ["unknownTable", from("bookz").select()];
  yield ["unknownColumn", from("books").select("titel")];
  yield ["unknownFilter", from("books").select("id").eq("titel", 1)];
  yield ["unknownRelation", from("books").select("id, visits(who)")];
  yield ["unknownFunction", client.rpc("price_off", { titles: [] })];
  yield ["unknownArgument", client.rpc("price_of", { title: "x" })];
  yield ["wrongType", from("books").select("id").eq("id", "x")];
  yield ["badSyntax", from("books").select("id").or("id.eq.1,(")];
  yield ["forbidden", from("sealed").select()];
  yield ["schema", client.schema("archive").from("papers").select().eq("id", 1)];
  yield ["unknownSchema", client.schema("secret").from("papers").select()];
}

export function* walkWrites(client) {
  const from = (table) => client.from(table);

  yield ["insert", from("books").insert({ title: "Moomin", author_id: 2 }).select()];
  yield ["insertMany", from("books").insert([{ id: 7, title: "A" }, { id: 8, title: "B", price: 3 }], { count: "exact" })];
  yield ["insertDefaults", from("books").insert([{ id: 9, title: "C" }, { id: 10, title: "D", price: 1 }], { defaultToNull: false }).select("id, price")];
  yield ["insertBig", from("books").insert({ id: 11, title: "Big", isbn: 9223372036854775807n }).select("isbn::text").single()];
  yield ["insertOdd", from("notes").insert(ODD.map((body, id) => ({ id, body }))).select()];
  for (const [id, body] of ODD.entries()) yield [`odd${id}`, from("notes").select("id").eq("body", body)];
  yield ["oddIn", from("notes").select("id").in("body", ["a,b", "(x)", "🦊📚", "50%", "a+b&c=d"]).order("id")];
  yield ["oddOr", from("notes").select("id").or('body.eq."q\\"uote",body.eq."back\\\\slash",body.in.("a,b","(x)")').order("id")];
  yield ["oddContains", from("books").select("id").contains("tags", '{"a,b","q\\"x"}')];

  yield ["upsert", from("books").upsert({ title: "Pippi", price: 1 }, { onConflict: "title" }).select("id, price").single()];
  yield ["upsertMany", from("books").upsert([{ id: 7, title: "A2" }, { id: 12, title: "E" }], { count: "exact" })];
  yield ["upsertDefaults", from("books").upsert([{ id: 14, title: "G" }], { defaultToNull: false, onConflict: "id" }).select("id, price")];
  yield ["upsertIgnore", from("books").upsert([{ id: 1, title: "X" }, { id: 13, title: "F" }], { ignoreDuplicates: true }).select("id")];

  yield ["update", from("books").update({ price: 2 }).in("id", [7, 8]).select("id, price").order("id")];
  yield ["updateCount", from("books").update({ price: 3 }, { count: "exact" }).eq("id", 8)];
  yield ["updateJson", from("books").update({ extra: { pages: 1, deep: [null, "é"] }, tags: ["a,b", 'q"x'] }).eq("id", 3).select("extra, tags").single()];
  yield ["oddContainsNow", from("books").select("id").contains("tags", '{"a,b","q\\"x"}')];
  yield ["updateEmbedded", from("books").update({ price: 6 }).eq("id", 101).select("id, authors!written_by(name)")];
  yield ["updateNone", from("books").update({ price: 6 }).eq("id", 999).select()];
  yield ["updateSingleOfNone", from("books").update({ price: 6 }).eq("id", 999).select().single()];
  yield ["updateSingleOfMany", from("books").update({ price: 6 }).in("id", [7, 8]).select().single()];
  yield ["maxAffected", from("books").update({ price: 4 }).eq("id", 8).maxAffected(1).select("id, price")];
  yield ["maxAffectedExceeded", from("books").update({ price: 4 }).in("id", [7, 8]).maxAffected(1).select("id")];
  yield ["updateCsv", from("books").update({ price: 7 }).eq("id", 8).select("id, title, price").csv()];
  yield ["delete", from("books").delete().eq("id", 7).select("id, title")];
  yield ["deleteCount", from("books").delete({ count: "exact" }).in("id", [9, 10])];
  yield ["deleteNone", from("books").delete().eq("id", 999).select()];

  yield ["rollback", from("books").delete().eq("id", 8).rollback().select("id")];
  yield ["afterRollback", from("books").select("id").eq("id", 8)];
  yield ["writeInner", from("books").update({ price: 8 }).eq("id", 8).select("id, genres!inner(name)")];
  yield ["writeCast", from("books").update({ price: 9 }).eq("id", 8).select("id::text").csv()];
  yield ["writeSum", from("books").update({ price: 9 }).eq("id", 8).select("price.sum()")];
  yield ["writeExplain", from("books").update({ price: 9 }).eq("id", 8).select().explain()];
  yield ["writeView", from("cheap").update({ title: "x" }).eq("id", 8)];
  yield ["writeSchema", client.schema("archive").from("papers").update({ title: "new" }).eq("id", 1).select()];

  yield ["clash", from("authors").insert({ id: 1, name: "again" })];
  yield ["noParent", from("books").insert({ id: 20, title: "Orphan", author_id: 99 }).select()];
  yield ["missingName", from("authors").insert({ id: 9, born: "2000-01-01" })];
  yield ["insertUnknownColumn", from("books").insert({ titel: "x" })];
  yield ["insertUnknownColumns", from("books").insert([{ titel: "x" }])];
  yield ["updateUnknownColumn", from("books").update({ titel: "x" }).eq("id", 8)];
  yield ["badValue", from("books").insert({ title: "Bad", price: "much" })];
  yield ["noSuchConflict", from("books").upsert({ title: "Pippi" }, { onConflict: "price" })];
  yield ["unfilteredUpdate", from("books").update({ price: 0 })];
  yield ["unfilteredDelete", from("books").delete()];

  yield ["cascade", from("authors").delete().eq("id", 1)];
  yield ["call", client.rpc("visit", { who: "Ann" })];
}
