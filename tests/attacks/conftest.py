"""The benches of the attack scripts, one for each backend and run, and the table of what held."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.attacks.attack_bench import AttackBench, FindAttackBench, open_attack_bench
from tests.attacks.report import PROPERTY, format_table
from tests.fakes.supabase import Supabase
from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Backend
from tests.fixtures.postgres import PostgresServer


@pytest.fixture(scope="session")
async def find_attack_bench(
    postgres: PostgresServer, bench_product: ServedProduct, supabase: Supabase
) -> AsyncIterator[FindAttackBench]:
    """Opened when the first script of a backend runs."""
    async with AsyncExitStack() as stack:
        opened: dict[Backend, AttackBench] = {}

        async def find(backend: Backend) -> AttackBench:
            if backend not in opened:
                bench = open_attack_bench(postgres, bench_product, supabase, backend)
                opened[backend] = await stack.enter_async_context(bench)
            return opened[backend]

        yield find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table of the families, where scripts ran."""
    rows = format_table(
        (str(value), report.outcome == "passed")
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    )
    for row in rows:
        terminalreporter.write_line(row)
