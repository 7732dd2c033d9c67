"""Which version of the catalog a scan looks at."""

from typing import Final

from basewarden.sentry.scans.asking import ask
from pgrest import DbConnection, ask_catalog_version, read_catalog_version

_SECONDS: Final = 10.0


async def read_version(connection: DbConnection) -> str:
    """The digest that a snapshot of the same schema has. Raises DatabaseError."""
    (rows,) = await ask(connection, _SECONDS, [ask_catalog_version(connection.server_version, whole=True)])
    digest = read_catalog_version(rows).digest
    assert digest is not None, "everything was asked"
    return digest
