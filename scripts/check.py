"""Runs all checks of CI, each step named and timed; with arguments, it runs only pytest, with these arguments.

It first provides what the tests need; format, lint and types are checked while the tests run. The last line is `N
passed, N failed` of the tests; the exit code includes the other steps. SIGINT, SIGTERM and SIGHUP end the tests, too.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # our own pytest wrote it
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from basewarden.errors import StartError
from basewarden.web.assets import ensure_assets, ensure_packages, find_node

CHECKOUT = Path(__file__).resolve().parent.parent
PARTS = 4  # keep two processors busy
SLOWEST = ("--durations=25", "--durations-min=3")
"""Each part names its slowest tests: what makes a whole run longer is seen when it comes."""
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_SECONDS = 60
"""How long pytest may take to stop what its tests started, before it is killed."""
PROGRAMS = {"chromium-headless-shell": ("chromium-headless-shell", "chromium"), "pgbouncer": ("pgbouncer",)}
"""By package, the programs that will do, the best first: the headless shell takes 40 % less than the whole browser."""


class StepError(Exception):
    """A step failed; the text says why, unless the step's own output does."""


@dataclass(frozen=True)
class Totals:
    passed: int
    failed: int
    skipped: int

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def print_line(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(*command: str) -> None:
    completed = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, check=False)
    if completed.returncode != 0:
        raise StepError(f"{' '.join(command)} ended with {completed.returncode}")


def run_module(name: str, *arguments: str) -> None:
    run(sys.executable, "-m", name, *arguments)


def provide_programs() -> None:
    """Chromium for the browser tests, PgBouncer for the probe of poolers; from the distribution's packages."""
    missing = {package for package, names in PROGRAMS.items() if shutil.which(names[0]) is None}
    needed = {package for package in missing if not any(map(shutil.which, PROGRAMS[package]))}
    if os.geteuid() == 0 and shutil.which("apt-get") is not None and missing:
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", *sorted(missing))
    elif needed:
        raise StepError(f"the tests need {' and '.join(sorted(needed))}: install them and put them on the PATH")


def provide_assets() -> None:
    asyncio.run(ensure_assets(print_line))


def provide_client_packages() -> None:
    asyncio.run(ensure_packages(CHECKOUT / "tests" / "clients" / "js", print_line))


def check_script_types() -> None:
    node = find_node()
    if node is None:
        raise StepError("there is no Node to check the page scripts' types with")
    assets = CHECKOUT / "assets"
    run(str(node.node), str(assets / "node_modules" / "typescript" / "bin" / "tsc"), "--project", str(assets))


PROVISIONS: dict[str, Callable[[], None]] = {
    "programs": provide_programs,
    "page assets": provide_assets,
    "client packages": provide_client_packages,
}
CHECKS: dict[str, Callable[[], None]] = {
    "format": lambda: run_module("ruff", "format", "--check", "."),
    "lint": lambda: run_module("ruff", "check", "."),
    "types": lambda: run_module("mypy"),
    "page script types": check_script_types,
}


def run_step(name: str, step: Callable[[], None]) -> bool:
    print_line(f"== {name}")
    started = time.monotonic()
    try:
        step()
    except (StepError, StartError) as error:
        print_line(f"== {name} FAILED after {time.monotonic() - started:.1f} s: {error}")
        return False
    print_line(f"== {name} done in {time.monotonic() - started:.1f} s")
    return True


def run_steps(steps: Mapping[str, Callable[[], None]]) -> list[str]:
    """Returns the names of the steps that failed."""
    return [name for name, step in steps.items() if not run_step(name, step)]


class TestRun:
    """Runs pytest; without arguments, in several processes that share the files between them."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._folder = folder
        parts = 1 if arguments else PARTS
        self._claims = folder / "claims"
        self._claims.mkdir()
        self._running = [self._start(part, arguments) for part in range(1, parts + 1)]

    def _start(self, part: int, arguments: list[str]) -> subprocess.Popen[bytes]:
        """The first process prints to the terminal, the others into files.

        Each has a session of its own, so that Ctrl-C reaches it once, by `stop`: a second SIGINT would end its cleanup.
        """
        report = f"--junitxml={self._folder / f'{part}.xml'}"
        command = [sys.executable, "-m", "pytest", report, *(arguments or [f"--claims={self._claims}", *SLOWEST])]
        if part == 1:
            return subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        with (self._folder / f"{part}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Ends the processes that still run; on SIGINT pytest stops the servers and browsers of its tests."""
        running = [process for process in self._running if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def wait(self) -> tuple[int, Totals]:
        """Pytest's exit code and totals."""
        codes = []
        for part, process in enumerate(self._running, start=1):
            codes.append(process.wait())
            if part > 1:
                print_line(f"== tests, part {part}")
                sys.stderr.write((self._folder / f"{part}.log").read_text())
        totals = [read_totals(self._folder / f"{part}.xml") for part in range(1, len(self._running) + 1)]
        return max(codes), sum(totals, Totals(0, 0, 0))


def read_totals(report: Path) -> Totals:
    if not report.exists():
        return Totals(0, 0, 0)
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 -- our own pytest wrote it
    counts = {
        name: int(suite.get(name, 0)) if suite is not None else 0 for name in ("tests", "failures", "errors", "skipped")
    }
    failed = counts["failures"] + counts["errors"]
    return Totals(counts["tests"] - failed - counts["skipped"], failed, counts["skipped"])


def end_on_signals() -> None:
    def end(number: int, _frame: FrameType | None) -> None:
        for each in END_SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # `timeout` sends its signal twice
        raise SystemExit(128 + number)

    for number in END_SIGNALS:
        signal.signal(number, end)


def main(arguments: list[str]) -> int:
    end_on_signals()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each product that a test starts would compile all of it again
    failed_steps = [] if arguments else run_steps(PROVISIONS)
    print_line("== tests")
    with tempfile.TemporaryDirectory() as folder:
        tests = TestRun(arguments, Path(folder))
        try:
            if not arguments:
                failed_steps += run_steps(CHECKS)
            code, totals = tests.wait()
        finally:
            tests.stop()
    if failed_steps:
        print_line(f"Failed besides the tests: {', '.join(failed_steps)}")
    print(totals, flush=True)
    return code or int(bool(failed_steps or totals.failed or not totals.passed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
