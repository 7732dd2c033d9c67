// The official JavaScript client against a served product; prints one JSON object of what it saw.
import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
// Node before 22 has no WebSocket of its own, and the client wants one at start.
const client = createClient(url, token, { realtime: { transport: WebSocket }, auth: { persistSession: false } });
const books = () => client.from("books");
const ids = async (query) => (await query.order("id").throwOnError()).data.map((row) => row.id);
const data = async (query) => (await query.throwOnError()).data;

const seen = {
  eq: await data(books().select("id, name:title").eq("id", 1)),
  gt: await ids(books().select("id").gt("price", 9)),
  in: await ids(books().select("id").in("title", ["Pippi", "Winter", 'odd, "one"'])),
  isNull: await ids(books().select("id").is("price", null)),
  like: await ids(books().select("id").ilike("title", "%in%")),
  contains: await ids(books().select("id").contains("tags", ["wild"])),
  not: await ids(books().select("id").not("extra", "is", null)),
  or: await ids(books().select("id").or("price.lt.9,and(title.eq.Ronja,price.gte.12)")),
  order: (await data(books().select("id").order("price", { ascending: false, nullsFirst: false }))).map((r) => r.id),
};

const page = await books().select("id", { count: "exact" }).order("id").range(1, 2);
seen.page = [page.data.map((row) => row.id), page.count, page.status];
seen.head = (await books().select("*", { count: "exact", head: true })).count;
seen.single = await data(books().select("title").eq("id", 3).single());
seen.maybe = (await books().select("title").eq("id", 999).maybeSingle()).data;
const many = await books().select("title").single();
seen.manyError = [many.status, many.error.code];
seen.down = await data(client.from("authors").select("name, books(title)").eq("id", 1).order("id", { referencedTable: "books" }));
seen.up = await data(books().select("title, authors!inner(name)").eq("authors.name", "Tove").order("id"));
seen.csv = await data(client.from("authors").select("id,name").order("id").csv());

const clash = await client.from("authors").insert({ id: 1, name: "again" });
seen.clash = [clash.status, clash.error.code, clash.error.details];
const unfiltered = await client.from("authors").delete();
seen.unfiltered = [unfiltered.status, unfiltered.error.code];

seen.rpc = await data(client.rpc("price_of", { titles: ["Pippi", "Ronja"] }));
seen.rpcGet = await data(client.rpc("price_of", { titles: ["Pippi"] }, { get: true }));

seen.insert = await data(books().insert({ title: "Moomin", author_id: 2 }).select());
seen.insertMany = (await books().insert([{ id: 7, title: "A" }, { id: 8, title: "B" }])).status;
seen.upsert = await data(books().upsert({ title: "Pippi", price: 1 }, { onConflict: "title" }).select("id, price").single());
seen.update = (await data(books().update({ price: 2 }).in("id", [7, 8]).select("id"))).map((row) => row.id).sort();
seen.delete = await data(books().delete().eq("id", 7).select("id"));
seen.cascade = (await client.from("authors").delete().eq("id", 1)).status;

console.log(JSON.stringify(seen));
