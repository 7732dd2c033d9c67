"""The official JavaScript client; what it does is in `js/story.mjs`, what it must see is here."""

import asyncio
import json
from pathlib import Path

import pytest

from basewarden.web.assets import ensure_packages, find_node
from tests.clients.conftest import Library

_FOLDER = Path(__file__).parent / "js"
_SEEN = {
    "eq": [{"id": 1, "name": "Pippi"}],
    "gt": [1, 2],
    "in": [1, 4],
    "isNull": [4],
    "like": [4],
    "contains": [2, 3],
    "not": [1, 3],
    "or": [2, 3],
    "order": [2, 1, 3, 4],
    "page": [[2, 3], 4, 206],
    "head": 4,
    "single": {"title": "Comet"},
    "maybe": None,
    "manyError": [406, "PGRST116"],
    "down": [{"name": "Astrid", "books": [{"title": "Pippi"}, {"title": "Ronja"}]}],
    "up": [
        {"title": "Comet", "authors": {"name": "Tove"}},
        {"title": "Winter", "authors": {"name": "Tove"}},
    ],
    "csv": "id,name\n1,Astrid\n2,Tove\n3,Nobody",
    "clash": [409, "23505", "Key (id)=(1) already exists."],
    "unfiltered": [400, "filter_required"],
    "rpc": 21.5,
    "rpcGet": 9.5,
    "insert": [{"id": 101, "title": "Moomin", "author_id": 2, "price": None, "tags": [], "extra": None}],
    "insertMany": 201,
    "upsert": {"id": 1, "price": 1},
    "update": [7, 8],
    "delete": [{"id": 7}],
    "cascade": 204,
}


@pytest.fixture(scope="session")
async def node() -> Path:
    await ensure_packages(_FOLDER, print)
    found = find_node()
    assert found is not None
    return found.node


async def test_supabase_js(library: Library, node: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        node,
        "story.mjs",
        library.url,
        library.agent.token,
        cwd=_FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaints = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaints.decode()
    assert json.loads(told) == _SEEN
    assert await library.told() == [
        ("books", "insert", 101),
        ("books", "insert", 7),
        ("books", "insert", 8),
        ("books", "update", 1),
        ("books", "update", 7),
        ("books", "update", 8),
        ("books", "delete", 7),
        ("authors", "delete", 1),
        ("books", "delete", 1),
        ("books", "delete", 2),
    ]
