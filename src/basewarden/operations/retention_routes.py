"""`/api/cron/retention`: for an external scheduler; the product also runs it daily by itself."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from basewarden.errors import NotConfigured
from basewarden.operations.retention import Retention
from basewarden.operations.scheduler import Scheduler
from basewarden.web import STABLE, declare, inject

router = APIRouter(prefix="/api/cron", tags=["operational"])


class RetentionOut(BaseModel):
    """`pruned` has the deleted rows of every table that is pruned; all are 0 while another run is active."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    pruned: dict[str, int]
    duration_ms: int


@router.post(
    "/retention",
    responses=declare(NotConfigured),
    summary="Deletes what has been kept for long enough.",
    openapi_extra=STABLE,
)
async def prune(_: Scheduler, retention: Annotated[Retention, Depends(inject(Retention))]) -> RetentionOut:
    """The product runs it once a day by itself. Two runs at once do no harm."""
    started = time.monotonic()
    pruned = await retention.run()
    return RetentionOut(pruned=pruned, duration_ms=round((time.monotonic() - started) * 1000))
