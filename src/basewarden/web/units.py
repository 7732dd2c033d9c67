"""The unit of work of a request: `Writing` commits after the handler and before the response is sent."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from basewarden.db import ReadSession, WriteSession
from basewarden.web.dependencies import DatabaseDep


async def _write(database: DatabaseDep) -> AsyncIterator[WriteSession]:
    async with database.unit_of_work() as session:
        yield session


async def _read(database: DatabaseDep) -> AsyncIterator[ReadSession]:
    async with database.read_only() as session:
        yield session


# scope="function": the commit happens before the response is sent, so that 200 means that the data is stored.
Writing = Annotated[WriteSession, Depends(_write, scope="function")]
Reading = Annotated[ReadSession, Depends(_read, scope="function")]
