"""Code examples for an agent: a read and, where it may write, a write that can be undone."""

import json
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from basewarden.connections.models import RPC, Agent
from basewarden.connections.project_tables import ExampleTable

PLACEHOLDER = "<the agent's token>"
"""Shown in place of a token, because a token is shown only once."""


@dataclass(frozen=True, slots=True)
class Snippet:
    key: str
    label: str
    code: str


@dataclass(frozen=True, slots=True)
class _Parts:
    url: str
    token: str
    example: ExampleTable
    can_write: bool
    look_at: str

    @property
    def change(self) -> str:
        return json.dumps({self.example.column: self.example.value}, ensure_ascii=False)


def make_snippets(
    origin: str, connection_id: UUID, agent: Agent, example: ExampleTable | None, token: str = PLACEHOLDER
) -> list[Snippet]:
    parts = _Parts(
        url=f"{origin}/api/v/{connection_id}",
        token=token,
        example=example or _make_example(agent.example_tables),
        can_write=agent.writes_tables,
        look_at=f"Then look here: {origin}/c/{connection_id}/sessions?agent={agent.id}",
    )
    return [
        Snippet("js", "supabase-js", _make_javascript(parts)),
        Snippet("python", "supabase-py", _make_python(parts)),
        Snippet("curl", "curl", _make_curl(parts)),
        Snippet("env", ".env", f"SUPABASE_URL={_quote(parts.url)}\nSUPABASE_KEY={_quote(parts.token)}"),
    ]


def _make_example(tables: list[str] | None) -> ExampleTable:
    """Names the first table of an agent's list, or words to replace."""
    listed = (name.removeprefix("public.") for name in tables or () if not name.startswith(RPC))
    return ExampleTable(next(listed, "your_table"), "id", 1, "name", "A new name")


def _make_javascript(parts: _Parts) -> str:
    example = parts.example
    table, key = _quote(example.name), f"{_quote(example.key)}, {_quote(example.key_value)}"
    read = (
        'import { createClient } from "@supabase/supabase-js"\n\n'
        f"const db = createClient(\n  {_quote(parts.url)},\n  {_quote(parts.token)},\n)\n"
        f'const {{ data, error }} = await db.from({table}).select("*").limit(5)\nconsole.log(error ?? data)'
    )
    write = (
        "\n\n// A write, which you can undo\n"
        f"const write = await db.from({table}).update({parts.change}).eq({key}).select()\n"
        f"console.log(write.error ?? write.data)\n// {parts.look_at}"
    )
    return read + (write if parts.can_write else "")


def _make_python(parts: _Parts) -> str:
    example = parts.example
    table, key = _quote(example.name), f"{_quote(example.key)}, {_quote(example.key_value)}"
    change = (
        f"{{{_quote(example.column)}: {example.value if isinstance(example.value, bool) else _quote(example.value)}}}"
    )
    read = (
        "from supabase import create_client\n\n"
        f"db = create_client(\n    {_quote(parts.url)},\n    {_quote(parts.token)},\n)\n"
        f'print(db.table({table}).select("*").limit(5).execute().data)'
    )
    write = (
        f"\n\n# A write, which you can undo\nprint(db.table({table}).update({change}).eq({key}).execute().data)"
        f"\n# {parts.look_at}"
    )
    return read + (write if parts.can_write else "")


def _make_curl(parts: _Parts) -> str:
    example = parts.example
    address = f"{parts.url}/rest/v1/{quote(example.name, safe='')}"
    token = f'  -H "Authorization: Bearer {parts.token}"'
    read = f'curl "{address}?limit=5" \\\n{token}'
    filters = f"{quote(example.key, safe='')}=eq.{quote(str(example.key_value), safe='')}"
    body = parts.change.replace("'", "'\\''")
    write = (
        f'\n\n# A write, which you can undo\ncurl -X PATCH "{address}?{filters}" \\\n{token} \\\n'
        f'  -H "Prefer: return=representation" \\\n  -H "Content-Type: application/json" \\\n  -d \'{body}\''
        f"\n# {parts.look_at}"
    )
    return read + (write if parts.can_write else "")


def _quote(value: str | int) -> str:
    """Returns a literal that is the same in JavaScript and Python."""
    return json.dumps(value, ensure_ascii=False)
