// One of the official JavaScript clients against a served product: `node run.mjs <package> <url> <token>`.
// Prints one JSON object of what came of each step.
import { walkReads, walkWrites } from "./tour.mjs";

const CLIENTS = {
  "supabase-js": async (url, token) => {
    const { createClient } = await import("@supabase/supabase-js");
    const { default: WebSocket } = await import("ws");
    // Node before 22 has no WebSocket of its own, and the client wants one at start.
    return createClient(url, token, { realtime: { transport: WebSocket }, auth: { persistSession: false } });
  },
  "postgrest-js": async (url, token) => {
    const { PostgrestClient } = await import("@supabase/postgrest-js");
    return new PostgrestClient(`${url}/rest/v1`, { headers: { Authorization: `Bearer ${token}` } });
  },
};

function describe({ status, data, count, error }) {
  if (error) return { status, error };
  return count === null ? { status, data } : { status, data, count };
}

// Gives up in the middle of a statement; the next request must be well, and the statement must not run on.
async function abort(client) {
  const dozing = async () => (await client.rpc("count_dozing", {}, { get: true }).throwOnError()).data;
  const until = async (wanted) => { while ((await dozing()) !== wanted); };
  const controller = new AbortController();
  const given = client.rpc("doze", {}, { get: true }).abortSignal(controller.signal).then((answer) => answer);
  await until(1);
  controller.abort();
  const { status, error } = await given;
  await until(0);
  return { status, aborted: error.message.startsWith("AbortError") };
}

const [name, url, token] = process.argv.slice(2);
const client = await CLIENTS[name](url, token);
const seen = {};
for (const walk of [walkReads, walkWrites]) for (const [step, query] of walk(client)) seen[step] = describe(await query);
seen.abort = await abort(client);
console.log(JSON.stringify(seen));
