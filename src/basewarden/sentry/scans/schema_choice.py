"""Which schemas of a project strangers reach by its API: asked for, never assumed without saying so."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from basewarden.sentry.scans.asking import Asked, ask
from pgrest import DatabaseError, Statement

_SECONDS = 2.0
# PostgREST reads these settings of its login role; Supabase keeps the exposed schemas there.
_CONFIGURED = Statement(
    "SELECT split_part(setting, '=', 2) FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole,"
    " unnest(s.setconfig) AS setting WHERE setting LIKE 'pgrst.db\\_schemas=%'"
    " AND (r.rolname = 'authenticator' OR s.setrole = 0)"
    " AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
    " ORDER BY r.rolname NULLS LAST, s.setdatabase DESC LIMIT 1"
)
DEFAULT = ("public",)


class SchemaSource(StrEnum):
    REQUEST = "request"
    CONNECTION = "connection"
    PROJECT = "project"
    API = "api"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ExposedSchemas:
    names: Sequence[str]
    source: SchemaSource


async def choose_schemas(
    connection: Asked, asked: Sequence[str] | None, named: Sequence[str] | None, of_api: Sequence[str] | None
) -> ExposedSchemas:
    """`named` are those of the connection's settings, `of_api` those that the project's API names, where it has one.

    Raises DatabaseError.
    """
    if asked:
        return ExposedSchemas(tuple(asked), SchemaSource.REQUEST)
    if named:
        return ExposedSchemas(tuple(named), SchemaSource.CONNECTION)
    configured = await _read_setting(connection)
    if configured:
        return ExposedSchemas(configured, SchemaSource.PROJECT)
    if of_api:
        return ExposedSchemas(tuple(of_api), SchemaSource.API)
    return ExposedSchemas(DEFAULT, SchemaSource.DEFAULT)


async def _read_setting(connection: Asked) -> Sequence[str]:
    try:
        (rows,) = await ask(connection, _SECONDS, [_CONFIGURED])
    except DatabaseError:
        return ()
    text = (rows.rows[0][0] or b"").decode() if rows.rows else ""
    return tuple(name for part in text.split(",") if (name := part.strip().strip('"')))
