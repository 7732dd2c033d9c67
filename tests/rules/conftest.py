"""What all rules share."""

from collections.abc import Iterator

import pytest

from tests.rules.sources import read_source


@pytest.fixture(scope="package", autouse=True)
def sources_are_read_once() -> Iterator[None]:
    yield
    read_source.cache_clear()
