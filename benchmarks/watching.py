"""Measures the effect of an attack on others: memory, stalls of the event loop, and the latency of honest callers.

A process of its own asks: `/api/health/live` every 20 ms, and the honest requests some times a second, each thread with
a connection and an address of this machine of its own. Where a wait goes by because a process is not given a processor,
the kernel counts it (`schedstat`): that part of a sample is the machine's, not the product's, and is kept apart.
"""

import contextlib
import http.client
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.servers import PAGE, list_family

MOST_GROWTH = 300_000_000
MOST_KEPT = 150_000_000
LONGEST_STALL = 0.250
MOST_SLOWDOWN = 1.5
LIVE = "/api/health/live"
_BEAT_SECONDS = 0.02
_HONEST_THREADS, _HONEST_REST = 3, 0.15
_OWN_ADDRESS, _HONEST_ADDRESS = "127.0.0.200", "127.0.0.201"


@dataclass(frozen=True)
class Beat:
    """Seconds: the whole wait, and the part in which the product or the asker waited for a processor."""

    phase: str
    seconds: float
    machine: float
    resident: int

    @property
    def own(self) -> float:
        return max(0.0, self.seconds - self.machine)


@dataclass(frozen=True)
class AskedSample:
    phase: str
    seconds: float
    machine: float
    status: int


@dataclass
class WatchedRun:
    """All samples of one run, each with the phase that it belongs to."""

    beats: list[Beat] = field(default_factory=list)
    asked: list[AskedSample] = field(default_factory=list)

    def stall(self, phase: str) -> float:
        """The longest wait that was the product's own."""
        return max((beat.own for beat in self.beats if beat.phase == phase), default=math.inf)

    def wait(self, phase: str) -> float:
        return max((beat.seconds for beat in self.beats if beat.phase == phase), default=math.inf)

    def peak(self, phase: str) -> int:
        return max((beat.resident for beat in self.beats if beat.phase == phase), default=0)

    def last(self, phase: str) -> int:
        return [beat.resident for beat in self.beats if beat.phase == phase][-1]

    def percentile(self, phase: str, share: float = 0.95) -> float:
        times = sorted(one.seconds for one in self.asked if one.phase == phase)
        return times[min(len(times) - 1, int(share * len(times)))] if times else math.inf

    def own_percentile(self, phase: str, share: float = 0.95) -> float:
        """Of what is left of each wait without that for a processor."""
        times = sorted(max(0.0, one.seconds - one.machine) for one in self.asked if one.phase == phase)
        return times[min(len(times) - 1, int(share * len(times)))] if times else math.inf

    def failed(self, phase: str) -> list[int]:
        return [one.status for one in self.asked if one.phase == phase and one.status != 200]


class Observer:
    """From the outside: `enter` begins a phase, `finish` ends all and gives what was seen."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def enter(self, phase: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{phase}\n")
        self._process.stdin.flush()

    def finish(self) -> WatchedRun:
        output, _ = self._process.communicate()
        found: dict[str, Any] = json.loads(output)
        return WatchedRun([Beat(*beat) for beat in found["beats"]], [AskedSample(*one) for one in found["asked"]])


@contextlib.contextmanager
def observing(origin: str, pid: int, paths: Sequence[str], token: str) -> Iterator[Observer]:
    """The honest requests are reads of these paths, by this token."""
    pipe = subprocess.PIPE
    wanted = json.dumps({"origin": origin, "pid": pid, "paths": list(paths), "token": token})
    command = [sys.executable, "-m", "benchmarks.watching", wanted]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield Observer(process)
    finally:
        process.kill()
        process.wait()


# Judging --------------------------------------------------------------------------------------------------


def find_problems(seen: WatchedRun, *, before: str, during: str, after: str) -> list[str]:
    """Prints the figures. What does not hold, in words."""
    kept, grown = seen.last(after) - seen.peak(before), seen.peak(during) - seen.peak(before)
    stall = seen.stall(during) - seen.stall(before)
    ratio = seen.percentile(during) / seen.percentile(before)
    for phase in (before, during, after):
        _print_phase(seen, phase)
    print(f"memory: grew by {grown / 1e6:.0f} MB at its peak (limit {MOST_GROWTH / 1e6:.0f}), ", end="")
    print(f"keeps {kept / 1e6:.0f} MB (limit {MOST_KEPT / 1e6:.0f})")
    print(f"longest stall over that of the idle baseline: {stall * 1000:.0f} ms (limit {LONGEST_STALL * 1000:.0f})")
    own = seen.own_percentile(during) / max(1e-9, seen.own_percentile(before))
    print(f"honest p95 {during} against {before}: {ratio:.2f} (limit {MOST_SLOWDOWN}), ", end="")
    print(f"without the waits for a processor {own:.2f}")
    print(f"load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}, {os.cpu_count()} processors")
    failed = seen.failed(during)
    return [
        text
        for holds, text in (
            (grown < MOST_GROWTH, f"memory grew by {grown / 1e6:.0f} MB"),
            (kept < MOST_KEPT, f"{kept / 1e6:.0f} MB of memory are kept"),
            (stall <= LONGEST_STALL, f"the event loop stalled for {stall * 1000:.0f} ms"),
            (ratio <= MOST_SLOWDOWN, f"the honest load's p95 is {ratio:.2f} times that before"),
            (not failed, f"{len(failed)} honest requests were not answered with 200: {sorted(set(failed))}"),
        )
        if not holds
    ]


def _print_phase(seen: WatchedRun, phase: str) -> None:
    asked = [one for one in seen.asked if one.phase == phase]
    p50, p95, p99 = (seen.percentile(phase, share) * 1000 for share in (0.5, 0.95, 0.99))
    machine = sum(one.machine for one in asked) / max(1e-9, sum(one.seconds for one in asked))
    print(
        f"{phase:<8} memory {seen.last(phase) / 1e6:>5.0f} MB, peak {seen.peak(phase) / 1e6:>5.0f};"
        f" longest wait {seen.wait(phase) * 1000:>5.0f} ms, of it the product's own {seen.stall(phase) * 1000:>5.0f};"
        f" honest {len(asked):>4} requests, p50 {p50:.1f} ms, p95 {p95:.1f}, p99 {p99:.1f},"
        f" {machine:.0%} of it waiting for a processor"
    )


# The process that asks ------------------------------------------------------------------------------------


class _Asker:
    def __init__(self, origin: str, pid: int) -> None:
        self._host, self._port = urlsplit(origin).hostname or "", urlsplit(origin).port
        self._pid = pid
        self.phase = "warm-up"
        self.is_over = False
        self.seen = WatchedRun()

    def beat(self) -> None:
        connection = self._connect(_OWN_ADDRESS)
        while not self.is_over:
            started = time.perf_counter()
            phase = self.phase
            seconds, machine, _ = self._ask(connection, LIVE, {})
            self.seen.beats.append(Beat(phase, seconds, machine, self._read_resident()))
            time.sleep(max(0.0, _BEAT_SECONDS - (time.perf_counter() - started)))

    def ask_honestly(self, paths: Sequence[str], token: str) -> None:
        connection = self._connect(_HONEST_ADDRESS)
        number = 0
        while not self.is_over:
            phase = self.phase
            self.seen.asked.append(
                AskedSample(phase, *self._ask(connection, paths[number % len(paths)], {"apikey": token}))
            )
            number += 1
            time.sleep(_HONEST_REST)

    def _connect(self, address: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=30, source_address=(address, 0))

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
    ) -> tuple[float, float, int]:
        waited, started = self._read_waiting(), time.perf_counter()
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        return time.perf_counter() - started, self._read_waiting() - waited, status

    def _read_waiting(self) -> float:
        """Seconds for which the product's loop and this thread were ready and had no processor."""
        own = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        product = f"/proc/{self._pid}/task/{self._pid}/schedstat"
        return sum(int(Path(file).read_text().split()[1]) for file in (own, product)) / 1e9

    def _read_resident(self) -> int:
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in list_family([self._pid])) * PAGE


def _watch(wanted: dict[str, Any]) -> None:
    asker = _Asker(wanted["origin"], wanted["pid"])
    threads = [threading.Thread(target=asker.beat)]
    honest = (wanted["paths"], wanted["token"])
    threads += [threading.Thread(target=asker.ask_honestly, args=honest) for _ in range(_HONEST_THREADS)]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        asker.phase = line.strip()
    asker.is_over = True
    for thread in threads:
        thread.join()
    seen = asker.seen
    beats = [(one.phase, one.seconds, one.machine, one.resident) for one in seen.beats]
    asked = [(one.phase, one.seconds, one.machine, one.status) for one in seen.asked]
    print(json.dumps({"beats": beats, "asked": asked}))


if __name__ == "__main__":
    _watch(json.loads(sys.argv[1]))
