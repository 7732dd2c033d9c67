"""Freed memory is returned to the system, in a process of its own that starts with nothing."""

import ctypes
import subprocess
import sys

import pytest

MEASURE = """
import asyncio
from pathlib import Path
from basewarden.core.allocator import Trimming, tune_allocator

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
"""
LARGE = """
tune_allocator()
for _ in range(2):  # what was freed once teaches glibc to keep the next
    piece = bytes(20_000_000)
    del piece
before, pieces, kept = megabytes(), [], []
for _ in range(8):
    pieces.append(b"x" * 15_000_000)
    kept.append(bytes(100_000))  # lies behind it
pieces.clear()
print(megabytes() - before)
"""
SMALL = """
async def main():
    before = megabytes()
    pieces = [bytes(2_000) for _ in range(100_000)]
    kept = pieces[::500]
    del pieces
    trimming = Trimming()
    for _ in range(200):
        trimming.note_freed(1_000_000)
    async with asyncio.timeout(30):
        while megabytes() - before > 50:
            await asyncio.sleep(0.05)
    print(megabytes() - before)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another allocator than glibc's")
@pytest.mark.parametrize("work", [LARGE, SMALL], ids=["large", "small"])
def test_what_was_freed_goes_back(work: str) -> None:
    ended = subprocess.run([sys.executable, "-c", MEASURE + work], capture_output=True, text=True, check=True)
    assert float(ended.stdout) < 50
