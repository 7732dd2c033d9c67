"""A small shop behind the served product, for clients that are not ours."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from basewarden.demo.shop.digest import digest_tables
from tests.fixtures.bench import Bench, BenchAgent, Workshop
from tests.undo.test_service import request_undo

_SHOP = (Path(__file__).parent / "shop.sql").read_text()
_OF_FUNCTIONS = "public.visits"
ListedWrite = tuple[str, str, tuple[Any, ...]]


@dataclass(frozen=True)
class Library:
    """`untouched` is the digest of its tables before anybody came."""

    bench: Bench
    agent: BenchAgent
    untouched: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.bench.product.port}/api/v/{self.bench.connection_id}"

    async def find_session(self) -> str:
        """Of all that the client wrote: one, however many requests it took."""
        (session,) = await self.bench.sessions()
        found: str = session["id"]
        return found

    async def list_writes(self) -> list[ListedWrite]:
        """Table, verb and key of everything in the session, in order; but the rows of one write have none."""
        changes = (await self.bench.journal(await self.find_session()))["mutations"]
        writes = [list(group) for _, group in groupby(changes, key=itemgetter("writeId"))]
        return [
            change
            for write in writes
            for change in sorted((one["table"], one["verb"], tuple(one["primaryKey"].values())) for one in write)
        ]

    async def take_back(self) -> None:
        """One undo restores every row, except for what a function wrote: that is reported, and stays."""
        before = await digest_tables(self.bench.dsn)
        assert {table for table, digest in before.items() if digest != self.untouched[table]} > {"public.books"}
        answer = await request_undo(self.bench, await self.find_session())
        assert answer.status_code == 200, answer.text
        receipt = answer.json()
        assert (receipt["planned"], receipt["skipped"], receipt["conflicts"]) == (receipt["reverted"], 0, [])
        assert "1 call of the function public.visit." in receipt["irreversible"]
        after = await digest_tables(self.bench.dsn)
        assert [table for table, digest in after.items() if digest != self.untouched[table]] == [_OF_FUNCTIONS]


@pytest.fixture
async def library(workshop: Workshop) -> Library:
    bench = await workshop.bench(_SHOP, api_settings={"PGRST_DB_SCHEMAS": "public, archive"})
    return Library(bench, await bench.agent(), await digest_tables(bench.dsn))
