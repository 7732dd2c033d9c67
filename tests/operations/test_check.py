"""`./basewarden test` that is ended leaves nothing of its tests running."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from scripts.check import CHECKOUT
from tests.fixtures.waiting import wait_until

_TEST = """
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    (FOLDER / "started").touch()
    yield
    (FOLDER / "stopped").touch()


def test_that_takes_long(server: None) -> None:
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_ended_run_lets_its_tests_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "test_long.py").write_text(_TEST)
    arguments = ["-c", str(tmp_path / "pytest.ini"), str(tmp_path)]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CHECKOUT / "scripts" / "check.py"), *arguments, stdout=asyncio.subprocess.DEVNULL
    )
    await wait_until((tmp_path / "started").exists, "the test to run", seconds=60)
    process.send_signal(number)
    assert await process.wait() == 128 + number
    assert (tmp_path / "stopped").exists()
