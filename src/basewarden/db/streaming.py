"""Reads many rows in pages by their ids, so that neither side holds all of them."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncSession


async def stream_by_id(
    session: AsyncSession, query: Select[Any], key: ColumnElement[UUID], *, page_rows: int = 200
) -> AsyncGenerator[RowMapping, None]:
    """Streams the rows of `query`, which must select `key` under the name `id`, ordered by it."""
    after: UUID | None = None
    while True:
        part = query if after is None else query.where(key > after)
        page = (await session.execute(part.order_by(key).limit(page_rows))).mappings().all()
        for row in page:
            yield row
        if len(page) < page_rows:
            return
        after = page[-1]["id"]
