"""The processes that CI runs beside each other run each test once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fixtures.parts import EVERYWHERE, claim_items


def make_items(files: int) -> list[Any]:
    names = [f"tests/{'browser' if number % 5 == 0 else 'core'}/test_{number}.py" for number in range(files)]
    return [
        SimpleNamespace(nodeid=f"{name}::test_{test}", path=Path(name))
        for name in (*names, *EVERYWHERE)
        for test in range(number_of_tests(name))
    ]


def number_of_tests(name: str) -> int:
    return 1 + len(name) % 3


def test_each_file_is_run_once_and_what_looks_back_in_each_process(tmp_path: Path) -> None:
    items = make_items(200)
    with ThreadPoolExecutor(4) as processes:
        parts = [part.result() for part in [processes.submit(list, claim_items(items, tmp_path)) for _ in range(4)]]
    ids = [item.nodeid for part in parts for item in part if not item.nodeid.startswith(EVERYWHERE)]
    assert sorted(ids) == sorted(item.nodeid for item in items if not item.nodeid.startswith(EVERYWHERE))
    for part in parts:
        ending = [item.nodeid for item in part if item.nodeid.startswith(EVERYWHERE)]
        assert ending
        assert [item.nodeid for item in part][-len(ending) :] == ending


def test_the_heaviest_files_come_first(tmp_path: Path) -> None:
    folders = [item.path.parent.name for item in claim_items(make_items(20), tmp_path)]
    assert folders[:4] == ["browser"] * 4
    assert "browser" not in folders[folders.index("core") :]
