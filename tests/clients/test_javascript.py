"""The official JavaScript clients; the steps are in `js/tour.mjs`, what they must bring is in `expected.py`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from basewarden.web.assets import ensure_packages, find_node
from tests.clients.conftest import Library
from tests.clients.expected import expect, list_expected_writes
from tests.fixtures.bench import Backend, on_both_backends

_FOLDER = Path(__file__).parent / "js"
_SECONDS = 60


@pytest.fixture(scope="session")
async def node() -> Path:
    await ensure_packages(_FOLDER, print)
    found = find_node()
    assert found is not None
    return found.node


async def run(node: Path, package: str, library: Library) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(node, "run.mjs", package, library.url, library.agent.token),
        cwd=_FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


@on_both_backends
@pytest.mark.parametrize("package", ["supabase-js", "postgrest-js"])
async def test_the_tour(library: Library, node: Path, package: str, backend: Backend) -> None:
    seen = await run(node, package, library)
    assert seen.pop("abort") == {"status": 0, "aborted": True}
    assert seen == expect(backend)
    assert await library.list_writes() == list_expected_writes(backend)
    await library.take_back()
