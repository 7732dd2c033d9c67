"""One shop for a whole file: its product is the run's, and each test takes rows of its own or puts them back."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.fixtures.app import ServedProduct
from tests.fixtures.bench import Workshop
from tests.fixtures.postgres import PostgresServer
from tests.proposals.shop import SHOP, WHOLE_SHOP, ProposalShop, open_shop


@pytest.fixture(scope="module")
async def module_shop(postgres: PostgresServer, bench_product: ServedProduct) -> AsyncIterator[ProposalShop]:
    person = await bench_product.sign_up(f"{uuid4().hex}@example.com")
    workshop = Workshop(postgres, bench_product, person)
    yield await open_shop(await workshop.bench(WHOLE_SHOP))
    await workshop.close()


@pytest.fixture
async def shop(module_shop: ProposalShop) -> ProposalShop:
    """With its rows as they were at first."""
    await module_shop.bench.run(
        "TRUNCATE customers, orders, log RESTART IDENTITY;"
        + SHOP[SHOP.index("INSERT INTO customers") :]
        + "UPDATE orders SET updated_at = '2026-01-01'"
    )
    return module_shop
