"""Reads what a request's role may reach in a schema, for each request: rights change without a new snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pgrest.config import RestConfig
from pgrest.execute import run_read_only
from pgrest.query.plan import OpenApiPlan
from pgrest.query.request import Request
from pgrest.schema.model import Function, Schema
from pgrest.sql.session import Session
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection

# The role's own search path says how types are spelled, so everything else here is named by its schema.
_EQUALS = "OPERATOR(pg_catalog.=)"
_COMMENT = (
    "SELECT pg_catalog.to_json(pg_catalog.obj_description(oid, 'pg_namespace')) "
    f"FROM pg_catalog.pg_namespace WHERE nspname {_EQUALS} $1"
)
_TABLES = f"""
SELECT pg_catalog.json_agg(c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid {_EQUALS} c.relnamespace
WHERE n.nspname {_EQUALS} $1 AND c.relkind {_EQUALS} ANY ('{{r,p,v,m,f}}') AND NOT c.relispartition
  AND (pg_catalog.pg_has_role(c.relowner, 'USAGE')
       OR pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
"""
_FUNCTIONS = f"""
SELECT pg_catalog.json_agg(pg_catalog.json_build_array(p.oid::int8, (
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.format_type(a.type, NULL) ORDER BY a.idx), '[]')
  FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY a(type, idx))))
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid {_EQUALS} p.pronamespace
WHERE n.nspname {_EQUALS} $1 AND p.prokind {_EQUALS} 'f' AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
"""
_decode_comment = msgspec.json.Decoder(str | None).decode
_decode_tables = msgspec.json.Decoder(frozenset[str] | None).decode
_decode_functions = msgspec.json.Decoder(list[tuple[int, tuple[str, ...]]] | None).decode


@dataclass(frozen=True, slots=True)
class SchemaAccess:
    """None = everything, whatever the role may."""

    comment: str | None
    tables: frozenset[str] | None = None
    functions: Mapping[int, tuple[str, ...]] | None = None
    """object id -> the types of the parameters, as the role's search path spells them"""

    def allows(self, function: Function) -> bool:
        return self.functions is None or function.oid in self.functions

    def spell_types(self, function: Function) -> tuple[str, ...]:
        if self.functions is None:
            return tuple(one.type for one in function.parameters)
        return self.functions[function.oid]


async def read_access(
    conn: DbConnection, plan: OpenApiPlan, request: Request, session: Session, *, schema: Schema, config: RestConfig
) -> SchemaAccess:
    """In the role's own transaction, after the pre-request function, as for any other request."""
    follows = config.openapi_mode == "follow-privileges"
    asked = (_COMMENT, _TABLES, _FUNCTIONS) if follows else (_COMMENT,)
    statements = [Statement(sql, (plan.schema.encode(),)) for sql in asked]
    answers = await run_read_only(conn, plan, statements, request, session, schema=schema, config=config)
    values = [(rows.rows[0][0] if rows.rows else None) or b"null" for rows in answers]
    if not follows:
        return SchemaAccess(_decode_comment(values[0]))
    return SchemaAccess(
        comment=_decode_comment(values[0]),
        tables=_decode_tables(values[1]) or frozenset(),
        functions=dict(_decode_functions(values[2]) or ()),
    )
