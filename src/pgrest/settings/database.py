"""The settings in the database: of the login role, and by a function (`db-pre-config`)."""

from collections.abc import Mapping

from pgrest.config import Name
from pgrest.settings.source import DATABASE_NAMES
from pgrest.sql.text import Statement, array_literal, quote_name
from pgrest.wire.connection import DbConnection, Rows

_READ_ONLY = Statement("SELECT set_config('transaction_read_only', 'on', true)")
_NAMES = (array_literal(DATABASE_NAMES).encode(),)
_BY_ROLE = Statement(
    """
SELECT split_part(s.setting, '=', 1), substr(s.setting, strpos(s.setting, '=') + 1)
FROM pg_db_role_setting r, unnest(r.setconfig) s(setting)
WHERE r.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND (r.setdatabase = 0 OR r.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND split_part(s.setting, '=', 1) = ANY ($1)
ORDER BY r.setdatabase
""",
    _NAMES,
)
_BY_FUNCTION = Statement(
    """
SELECT name, current_setting(name, true) FROM unnest($1::text[]) name WHERE current_setting(name, true) IS NOT NULL
""",
    _NAMES,
)


async def read_database_settings(conn: DbConnection, pre_config: Name | None) -> Mapping[str, str]:
    """By their names there. The role's in this database go before the role's, and those before the function's."""
    if pre_config is None:
        answers = await conn.run([_READ_ONLY, _BY_ROLE])
        return _to_mapping(answers[1])
    function = Statement(f"SELECT {quote_name(pre_config)}()")
    answers = await conn.run([_READ_ONLY, _BY_ROLE, function, _BY_FUNCTION])
    return {**_to_mapping(answers[3]), **_to_mapping(answers[1])}


def _to_mapping(rows: Rows) -> dict[str, str]:
    return {(name or b"").decode(): (value or b"").decode() for name, value in rows.rows}
