"""All that CI runs, in order, each step named and timed; with arguments only pytest, with these.

The last line is `N passed, N failed` of the tests; the exit code also speaks for the other steps.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # our own pytest wrote it
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from basewarden.errors import StartError
from basewarden.web.assets import ensure_assets, ensure_packages, find_node

CHECKOUT = Path(__file__).resolve().parent.parent
PARTS = 3  # the tests wait about as much as they compute
PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "pgbouncer": ("pgbouncer",)}


class StepError(Exception):
    """A step failed; its text says why where the step's own output does not."""


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
    missing = [package for package, names in PROGRAMS.items() if not any(shutil.which(name) for name in names)]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StepError(f"the tests need {' and '.join(missing)}: install them and put them on the PATH")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-q")
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


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


STEPS: dict[str, Callable[[], None]] = {
    "programs": provide_programs,
    "page assets": provide_assets,
    "client packages": provide_client_packages,
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


def run_tests(arguments: list[str]) -> tuple[int, Totals]:
    """Pytest's exit code and its totals. Without arguments in parts that run beside each other."""
    with tempfile.TemporaryDirectory() as folder:
        parts = [1] if arguments else list(range(1, PARTS + 1))
        running = [start_part(part, len(parts), arguments, Path(folder)) for part in parts]
        codes = [running[0].wait()]
        for part, process in zip(parts[1:], running[1:], strict=True):
            codes.append(process.wait())
            print_line(f"== tests, part {part}")
            sys.stderr.write((Path(folder) / f"{part}.log").read_text())
        totals = [read_totals(Path(folder) / f"{part}.xml") for part in parts]
    return max(codes), sum(totals, Totals(0, 0, 0))


def start_part(part: int, parts: int, arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """The first part speaks as it goes, the others into a file."""
    command = [sys.executable, "-m", "pytest", f"--junitxml={folder / f'{part}.xml'}", f"--part={part}/{parts}"]
    if part == 1:
        return subprocess.Popen([*command, *arguments], cwd=CHECKOUT, stdin=subprocess.DEVNULL)
    with (folder / f"{part}.log").open("wb") as log:
        return subprocess.Popen([*command, *arguments], cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def read_totals(report: Path) -> Totals:
    if not report.exists():
        return Totals(0, 0, 0)
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 -- our own pytest wrote it
    counts = {
        name: int(suite.get(name, 0)) if suite is not None else 0 for name in ("tests", "failures", "errors", "skipped")
    }
    failed = counts["failures"] + counts["errors"]
    return Totals(counts["tests"] - failed - counts["skipped"], failed, counts["skipped"])


def main(arguments: list[str]) -> int:
    failed_steps = [] if arguments else [name for name, step in STEPS.items() if not run_step(name, step)]
    print_line("== tests")
    code, totals = run_tests(arguments)
    if failed_steps:
        print_line(f"Failed before the tests: {', '.join(failed_steps)}")
    print(totals, flush=True)
    return code or int(bool(failed_steps or totals.failed or not totals.passed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
