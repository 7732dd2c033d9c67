"""Every road to the same rows beside each other, interleaved, medians of several rounds.

    .venv/bin/python -m benchmarks.road [--rounds 3] [--seconds 4] [--only read,update] [--postgrest BINARY] [--grow]

Roads: `pgbench` sends the very statements of the road, pipelined as it does (of a write without the journal);
`rest` is `basewarden rest` with a token; `token` and `cookie` the product, with look-up, policy, limits, journal, log;
`forward` the product in front of `rest`; `nginx` a plain hop in front of `rest`; `PostgREST` the original with a token,
where a binary is given. CPU is user and system time a request, of the serving processes and of PostgreSQL; the load's
is left out. Ratios are of requests a second, to PostgREST where it is there and to pgbench or rest where not.
`--grow` also tells how reads and writes change with connections (1 to 256) and with the size of the table.
"""

import argparse
import asyncio
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks.cases import CASES, ROLE, Case, make_table_cases, make_tables
from benchmarks.load import apply_load, generator_name
from benchmarks.servers import (
    Shop,
    Target,
    list_product_targets,
    make_forward,
    print_line,
    serve_nginx,
    serve_original,
    serve_rest,
    serve_shop,
)
from benchmarks.statements import make_script, record_request

CONNECTIONS = 32
SIZES = (10, 1_000, 100_000, 10_000_000)
MANY_CONNECTIONS = (1, 4, 16, 64, 256)
MARKER = "7713"  # a number that stands nowhere else in a statement's parameters
BASELINES = ("PostgREST", "pgbench", "rest")


@dataclass(frozen=True)
class Sample:
    """Microseconds of CPU a request, milliseconds of latency."""

    per_second: float
    p50: float = 0.0
    p99: float = 0.0
    own_cpu: float = 0.0
    postgres_cpu: float = 0.0


Samples = defaultdict[str, list[Sample]]


async def main() -> None:
    options = _parse_arguments()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        async with serve_shop(folder / "data", options.workers) as shop:
            await make_tables(shop.dsn, SIZES if options.grow else ())
            targets = await _open_targets(shop, folder, stack, options)
            print(
                f"Load by {generator_name()}, {options.rounds} rounds of {options.seconds} s, one that does not count."
            )
            for case in CASES:
                if not options.only or case.name in options.only:
                    await _compare(shop, targets, case, options)
            print("\nMemory, MB: " + ", ".join(f"{one.name} {one.resident_bytes() / 1e6:.0f}" for one in targets))
            if options.grow:
                await _grow(shop, targets, options)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="names of requests, with commas")
    parser.add_argument("--roads", type=lambda text: text.split(","), default=[], help="names of roads, with commas")
    parser.add_argument("--postgrest", default="", help="the original's binary, to measure it beside ours")
    parser.add_argument("--workers", type=int, default=1, help="processes of the product")
    parser.add_argument("--grow", action="store_true", help="also by connections and by rows")
    return parser.parse_args()


async def _open_targets(shop: Shop, folder: Path, stack: ExitStack, options: argparse.Namespace) -> list[Target]:
    rest, key = stack.enter_context(serve_rest(shop, folder))
    targets = [rest, *await list_product_targets(shop), await make_forward(shop, rest, key)]
    targets.append(stack.enter_context(serve_nginx(rest, folder)))
    if options.postgrest:
        original, _ = stack.enter_context(serve_original(shop, folder, options.postgrest))
        targets.append(original)
    return [one for one in targets if not options.roads or one.name in options.roads]


# Measuring ------------------------------------------------------------------------------------------------


async def _compare(
    shop: Shop, targets: Sequence[Target], case: Case, options: argparse.Namespace, connections: int = CONNECTIONS
) -> None:
    script = await _make_script(shop, case) if case.statements else None
    samples: Samples = defaultdict(list)
    for number in range(options.rounds + 1):
        for name, sample in _measure_all(shop, targets, case, script, connections, options.seconds):
            print_line(f"{case.name} {name} {sample.per_second:,.0f}/s")
            if number:
                samples[name].append(sample)
    _print_table(f"{case.title}, {connections} connections", samples)


def _measure_all(
    shop: Shop, targets: Sequence[Target], case: Case, script: str | None, connections: int, seconds: int
) -> Iterable[tuple[str, Sample]]:
    if script is not None:
        yield "pgbench", Sample(_run_pgbench(shop.dsn, script, connections, seconds))
    for target in targets:
        yield target.name, _measure(shop, target, case, connections, seconds)


def _measure(shop: Shop, target: Target, case: Case, connections: int, seconds: int) -> Sample:
    own, postgres = target.cpu_seconds(), shop.postgres_cpu()
    load = apply_load(target.origin, target.request(case), connections=connections, seconds=seconds)
    own, postgres = target.cpu_seconds() - own, shop.postgres_cpu() - postgres
    if load.errors or not load.requests:
        raise SystemExit(f"{target.name} answered {case.name} with {load.errors} errors: nothing was measured")
    microseconds = 1e6 / load.requests
    return Sample(load.per_second, load.p50, load.p99, own * microseconds, postgres * microseconds)


async def _make_script(shop: Shop, case: Case) -> str:
    """The statements of one request, with a number that gives way to a random one."""
    path, _, query = case.path.replace("{n}", MARKER).partition("?")
    headers = {"content-type": "application/json"}
    trips = await record_request(shop.dsn, ROLE, case.method, path, query, headers, case.body.encode())
    setup = f"\\set n random(1, {case.highest})" if "{n}" in case.path else ""
    return make_script(trips, {MARKER: "n"} if setup else {}, setup=setup)


def _run_pgbench(dsn: str, script: str, connections: int, seconds: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = ["pgbench", "-n", "-M", "prepared", f"-c{connections}", "-j1", f"-T{seconds}", "-f", file.name, dsn]
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"pgbench failed: {finished.stderr[-2000:]}")
    return next(float(line.split()[2]) for line in finished.stdout.splitlines() if line.startswith("tps"))


# Growing --------------------------------------------------------------------------------------------------


async def _grow(shop: Shop, targets: Sequence[Target], options: argparse.Namespace) -> None:
    read, update = (next(case for case in CASES if case.name == name) for name in ("read", "update"))
    for case in (read, update):
        for connections in MANY_CONNECTIONS:
            await _compare(shop, targets, case, options, connections)
    for rows in SIZES:
        for case in make_table_cases(rows):
            await _compare(shop, targets, case, options)


# Telling --------------------------------------------------------------------------------------------------


def _print_table(title: str, samples: Samples) -> None:
    baseline = next((name for name in BASELINES if name in samples), next(iter(samples)))
    print(f"\n{title}; ratio to {baseline}")
    print(f"{'':<12}{'req/s':>9}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'own µs':>9}{'PG µs':>9}")
    for name, found in samples.items():
        pairs = zip(found, samples[baseline], strict=True)
        ratio = statistics.median(ours.per_second / base.per_second for ours, base in pairs)
        middle = Sample(*(statistics.median(values) for values in zip(*map(astuple, found), strict=True)))
        print(
            f"{name:<12}{middle.per_second:>9,.0f}{ratio:>8.2f}{middle.p50:>9.1f}{middle.p99:>9.1f}"
            f"{middle.own_cpu:>9,.0f}{middle.postgres_cpu:>9,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(main())
