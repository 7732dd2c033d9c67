"""Code examples for a new agent."""

from uuid import UUID

_JS = """import {{ createClient }} from "@supabase/supabase-js"

const db = createClient(
  "{url}",
  "{token}",
)
const {{ data, error }} = await db.from("{table}").select("*").limit(5)
console.log(error ?? data)"""

_PYTHON = """from supabase import create_client

db = create_client(
    "{url}",
    "{token}",
)
print(db.table("{table}").select("*").limit(5).execute().data)"""

_CURL = """curl "{url}/rest/v1/{table}?limit=5" \\
  -H "Authorization: Bearer {token}\""""


def make_snippets(origin: str, connection_id: UUID, token: str, tables: list[str] | None) -> list[tuple[str, str, str]]:
    """Returns (key, label, code) for each client; the code reads from the first table that the agent may access."""
    table = next((name.removeprefix("public.") for name in tables or () if not name.startswith("rpc/")), "your_table")
    url = f"{origin}/api/v/{connection_id}"
    return [
        (key, label, code.format(url=url, token=token, table=table))
        for key, label, code in (
            ("js", "supabase-js", _JS),
            ("python", "supabase-py", _PYTHON),
            ("curl", "curl", _CURL),
        )
    ]
