"""The root's description of a schema, OpenAPI 2: what the role may reach of it, as PostgREST tells it."""

from collections.abc import Hashable

from pgrest.config import RestConfig
from pgrest.openapi.access import read_access
from pgrest.openapi.document import write_document
from pgrest.openapi.reach import EVERYTHING, Reach
from pgrest.query.plan import OpenApiPlan
from pgrest.query.request import Request
from pgrest.schema.model import Schema
from pgrest.sql.session import Session
from pgrest.wire.places import NO_LIMITS, Terms
from pgrest.wire.pool import Pool

__all__ = ["Reach", "describe_schema"]


async def describe_schema(
    pool: Pool,
    plan: OpenApiPlan,
    request: Request,
    session: Session,
    *,
    schema: Schema,
    config: RestConfig,
    reach: Reach = EVERYTHING,
    terms: Terms = NO_LIMITS,
    holder: Hashable = None,
) -> bytes:
    """The document, or nothing for HEAD. The connection is back in the pool before the writing begins.

    `reach` narrows what the role may see to what the host lets its caller see.
    """
    async with pool.acquire(terms, holder) as conn:
        access = await read_access(conn, plan, request, session, schema=schema, config=config)
    return b"" if plan.is_head else await write_document(schema, plan, access, config, reach)
