"""Two checkouts of the product beside each other, each with a shop and a PostgreSQL of its own.

    .venv/bin/python -m benchmarks.versions BEFORE [AFTER] [--cases read,update,insert] [--rounds 20] [--seconds 4]

BEFORE and AFTER are folders with a checkout; AFTER is this one where it is left out. Each round asks both, in an order
that alternates. Prints requests a second of AFTER to those of BEFORE: the mean of the rounds' ratios with its standard
error, and the median. The libraries are those of the environment that runs it.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.cases import CASES, Case, make_tables
from benchmarks.load import apply_load
from benchmarks.servers import Target, serve_shop

CONNECTIONS = 32
_WARM_SECONDS = 4
_SETTLE_SECONDS = 30
"""What a product does once after its start, such as compiling templates, is over then."""


def main() -> None:
    options = _parse_arguments()
    cases = [case for case in CASES if case.name in options.cases]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        trees = (options.before, options.after)
        before, after = (stack.enter_context(_holding(tree, folder / str(number))) for number, tree in enumerate(trees))
        time.sleep(_SETTLE_SECONDS)
        for case in cases:
            _compare(case, before, after, options)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?", default=Path(__file__).parents[1])
    parser.add_argument("--cases", type=lambda text: text.split(","), default=["read", "update", "insert"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=4)
    return parser.parse_args()


@contextmanager
def _holding(tree: Path, folder: Path) -> Iterator[Target]:
    """The checkout serves until the block ends. Its own `benchmarks` start it, so that its migrations are its own."""
    folder.mkdir(mode=0o755)
    checkout = tree.resolve()
    paths = os.pathsep.join([str(checkout), str(checkout / "src")])
    process = subprocess.Popen(
        [sys.executable, __file__, "--hold", str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{tree} does not start")
        print(f"{tree}: ready", file=sys.stderr)
        yield Target(tree.name, **json.loads(line))
    finally:
        process.stdin.close()
        process.wait()


async def _hold(folder: Path) -> None:
    async with serve_shop(folder / "data") as shop:
        await make_tables(shop.dsn, ())
        headers = {"apikey": await shop.make_agent()}
        described = {"origin": shop.origin, "path": shop.path, "headers": headers, "pids": [shop.pid]}
        print(json.dumps(described), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _compare(case: Case, before: Target, after: Target, options: argparse.Namespace) -> None:
    for target in (before, after):
        apply_load(target.origin, target.request(case), connections=CONNECTIONS, seconds=_WARM_SECONDS)
    ratios = []
    for number in range(options.rounds):
        found = {}
        for target in (before, after) if number % 2 else (after, before):
            load = apply_load(target.origin, target.request(case), connections=CONNECTIONS, seconds=options.seconds)
            if load.errors:
                raise SystemExit(f"{case.name}: {load.errors} errors of {target.origin}")
            found[target.origin] = load.per_second
        ratios.append(found[after.origin] / found[before.origin])
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(
        f"{case.title}: {statistics.mean(ratios):.3f} ± {error:.3f}, median {statistics.median(ratios):.3f},"
        f" {options.rounds} rounds of {options.seconds} s",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hold"]:
        asyncio.run(_hold(Path(sys.argv[2])))
    else:
        main()
