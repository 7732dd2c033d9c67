"""Code examples for an agent: a read and, where it may write or propose, a write and what becomes of it."""

import json
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from basewarden.connections.models import RPC, Access, Agent
from basewarden.connections.project_tables import ExampleTable

PLACEHOLDER = "<the agent's token>"
"""Shown in place of a token, because a token is shown only once."""
_CAN_UNDO = "A write, which you can undo"
_IS_PROPOSED = "A write, which changes nothing until it is approved: it answers 403 approval_required"
_ASK_AGAIN = "Whether it was approved: status is pending, executed, declined, stale, expired or failed"


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
    access: Access
    look_at: str

    @property
    def change(self) -> str:
        return json.dumps({self.example.column: self.example.value}, ensure_ascii=False)


def make_snippets(
    origin: str, connection_id: UUID, agent: Agent, example: ExampleTable | None, token: str = PLACEHOLDER
) -> list[Snippet]:
    room = "proposals" if agent.access == Access.PROPOSE else "sessions"
    parts = _Parts(
        url=f"{origin}/api/v/{connection_id}",
        token=token,
        example=example or _make_example(agent.example_tables),
        access=Access(agent.access) if agent.writes_tables else Access.READ,
        look_at=f"Then look here:\n{origin}/c/{connection_id}/{room}",
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
        f'const {{ data, error }} = await db\n  .from({table}).select("*").limit(5)\nconsole.log(error ?? data)'
    )
    write = f"const write = await db\n  .from({table})\n  .update({parts.change})\n  .eq({key}).select()"
    look_at = parts.look_at.replace("\n", "\n// ")
    if parts.access is Access.WRITE:
        return f"{read}\n\n// {_CAN_UNDO}\n{write}\nconsole.log(write.error ?? write.data)\n// {look_at}"
    proposal = (
        f"\n\n// {_IS_PROPOSED}\n{write}\n"
        "const { proposalId, url } = write.error.details\nconsole.log(write.error.code, url)\n"
        f"// {look_at}\n\n// {_ASK_AGAIN}\n"
        f"const answer = await fetch(\n  `{parts.url}/proposals/${{proposalId}}`,\n"
        f"  {{ headers: {{ apikey: {_quote(parts.token)} }} }},\n)\nconsole.log(await answer.json())"
    )
    return read + (proposal if parts.access is Access.PROPOSE else "")


def _make_python(parts: _Parts) -> str:
    example = parts.example
    table, key = _quote(example.name), f"{_quote(example.key)}, {_quote(example.key_value)}"
    change = (
        f"{{{_quote(example.column)}: {example.value if isinstance(example.value, bool) else _quote(example.value)}}}"
    )
    imports = "import httpx\nfrom postgrest import APIError\n" if parts.access is Access.PROPOSE else ""
    read = (
        f"{imports}from supabase import create_client\n\n"
        f"db = create_client(\n    {_quote(parts.url)},\n    {_quote(parts.token)},\n)\n"
        f'print(db.table({table}).select("*").limit(5).execute().data)'
    )
    look_at = parts.look_at.replace("\n", "\n# ")
    chain = (f"db.table({table})", f".update({change})", f".eq({key}).execute()")
    if parts.access is Access.WRITE:
        write = "\n    ".join(chain)
        return f"{read}\n\n# {_CAN_UNDO}\nwrite = (\n    {write}\n)\nprint(write.data)\n# {look_at}"
    write = "(\n        {}\n    )".format("\n        ".join(chain))
    proposal = (
        f"\n\n# {_IS_PROPOSED}\ntry:\n    {write}\nexcept APIError as error:\n"
        f'    print(error.code, error.details)\n    proposal_id = error.details["proposalId"]\n# {look_at}\n\n'
        f"# {_ASK_AGAIN}\nanswer = httpx.get(\n"
        f'    f"{parts.url}/proposals/{{proposal_id}}",\n    headers={{"apikey": {_quote(parts.token)}}},\n)\n'
        "print(answer.json())"
    )
    return read + (proposal if parts.access is Access.PROPOSE else "")


def _make_curl(parts: _Parts) -> str:
    example = parts.example
    address = f"{parts.url}/rest/v1/{quote(example.name, safe='')}"
    token = f'  -H "Authorization: Bearer {parts.token}"'
    read = f'curl "{address}?limit=5" \\\n{token}'
    filters = f"{quote(example.key, safe='')}=eq.{quote(str(example.key_value), safe='')}"
    body = parts.change.replace("'", "'\\''")
    look_at = parts.look_at.replace("\n", "\n# ")
    write = (
        f'curl -X PATCH "{address}?{filters}" \\\n{token} \\\n'
        f'  -H "Prefer: return=representation" \\\n  -H "Content-Type: application/json" \\\n  -d \'{body}\''
        f"\n# {look_at}"
    )
    if parts.access is Access.WRITE:
        return f"{read}\n\n# {_CAN_UNDO}\n{write}"
    proposal = (
        f"\n\n# {_IS_PROPOSED}\n{write}\n\n# {_ASK_AGAIN}\n# Use the proposalId of that answer.\n"
        f'curl "{parts.url}/proposals/<proposalId>" \\\n{token}'
    )
    return read + (proposal if parts.access is Access.PROPOSE else "")


def _quote(value: str | int) -> str:
    """Returns a literal that is the same in JavaScript and Python."""
    return json.dumps(value, ensure_ascii=False)
