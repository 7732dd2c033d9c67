"""Creates the shop's roles and database on a server, once."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote, urlencode

from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict

from basewarden.core.secret import Secret
from basewarden.demo.shop.generate import generate_shop
from basewarden.demo.shop.rows import TableRows
from basewarden.errors import StartError

OWNER = "shop_owner"
MARK = "Basewarden's demo shop, complete."
SCRIPTS = ("supabase.sql", "schema.sql", "functions.sql", "policies.sql")
API_ROLES = ("anon", "authenticated", "service_role")
ROLES = {
    "anon": "NOLOGIN",
    "authenticated": "NOLOGIN",
    "service_role": "NOLOGIN BYPASSRLS",
    "authenticator": "LOGIN NOINHERIT",
    OWNER: "LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB BYPASSRLS",
}
MEMBERS = ("authenticator", OWNER)
# An arbitrary constant that all processes share.
MAKING_LOCK = 7_305_808_869_231_650

LIST_IDENTITIES = """
    SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE is_identity = 'YES'
"""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ShopAccess:
    """The address for a connection, with the password of the role that owns the shop."""

    dsn: Secret
    password: Secret


async def create_shop(
    admin_dsn: str,
    *,
    database: str = "shop",
    scale: float = 1.0,
    password: Secret | None = None,
    progress: Progress,
) -> ShopAccess:
    """Leaves a complete shop alone and makes a missing one; without `password` the owner gets a new one.

    The shop is made under another name and renamed when whole, so that a broken run leaves nothing that looks
    like a shop. A database of that name which is no shop of ours stops it with StartError.
    """
    password = password or Secret(secrets.token_urlsafe(24))
    async with await AsyncConnection.connect(admin_dsn, autocommit=True) as admin:
        await admin.execute("SELECT pg_advisory_lock(%s)", (MAKING_LOCK,))
        is_complete = await _is_complete(admin, database)
        await _make_roles(admin, password)
        if is_complete:
            progress("The shop already exists.")
        else:
            draft = f"{database}_in_the_making"
            await _make_empty_database(admin, draft)
            await _fill_database(make_shop_url(admin_dsn, draft, password), scale, progress)
            await _publish_database(admin, draft, database)
            progress("The shop is ready.")
    return ShopAccess(make_shop_url(admin_dsn, database, password), password)


def make_shop_url(admin_dsn: str, database: str, password: Secret) -> Secret:
    """Builds a URL of the admin's server and settings with the owner's name and password."""
    settings = {key: str(value) for key, value in conninfo_to_dict(admin_dsn).items() if value is not None}
    host, port = settings.pop("host", ""), settings.pop("port", "")
    for own in ("user", "password", "dbname"):
        settings.pop(own, None)
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    place += f":{port}" if port else ""
    login = f"{OWNER}:{quote(password.reveal(), safe='')}"
    query = f"?{urlencode(settings, quote_via=quote)}" if settings else ""
    return Secret(f"postgresql://{login}@{place}/{quote(database, safe='')}{query}")


async def _make_roles(admin: AsyncConnection, password: Secret) -> None:
    rows = await (await admin.execute("SELECT rolname FROM pg_roles")).fetchall()
    for role in ROLES.keys() - {name for (name,) in rows}:
        await admin.execute(sql.SQL("CREATE ROLE {} " + ROLES[role]).format(sql.Identifier(role)))
    for member in MEMBERS:
        await admin.execute(sql.SQL("GRANT {} TO {}").format(_identifiers(API_ROLES), sql.Identifier(member)))
    # Hashed here, so that a server that logs statements does not log the password.
    verifier = admin.pgconn.encrypt_password(password.reveal().encode(), OWNER.encode(), b"scram-sha-256")
    await admin.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(OWNER), sql.Literal(verifier.decode()))
    )


async def _is_complete(admin: AsyncConnection, database: str) -> bool:
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    row = await (await admin.execute(query, (database,))).fetchone()
    if row is not None and row[0] != MARK:
        raise StartError(f"There is a database {database!r} on this server that is not the demo shop.")
    return row is not None


async def _make_empty_database(admin: AsyncConnection, database: str) -> None:
    name = sql.Identifier(database)
    await admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    await admin.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, sql.Identifier(OWNER))
    )


async def _publish_database(admin: AsyncConnection, draft: str, database: str) -> None:
    name = sql.Identifier(draft)
    await admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(MARK)))
    await admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name, sql.Identifier(database)))


async def _fill_database(url: Secret, scale: float, progress: Progress) -> None:
    async with await AsyncConnection.connect(url.reveal()) as owner:
        progress("Building tables, functions and policies")
        for script in SCRIPTS:
            await owner.execute(_read_script(script))
        for table in generate_shop(scale):
            progress(f"{table.table}: {len(table.rows):,} rows")
            await _copy_rows(owner, table)
        await _advance_sequences(owner)
        await owner.commit()
        await owner.set_autocommit(True)
        await owner.execute("VACUUM (ANALYZE)")


def _read_script(name: str) -> bytes:
    return files("basewarden.demo.shop").joinpath(name).read_bytes()


async def _copy_rows(owner: AsyncConnection, table: TableRows) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.schema, table.table), _identifiers(table.columns)
    )
    async with owner.cursor().copy(statement) as copy:
        for row in table.rows:
            await copy.write_row(row)


async def _advance_sequences(owner: AsyncConnection) -> None:
    """Advances sequences past the ids that COPY inserted."""
    identities = await owner.execute(LIST_IDENTITIES)
    for schema, table, column in await identities.fetchall():
        await owner.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}").format(
                sql.Literal(sql.Identifier(schema, table).as_string(owner)),
                sql.Literal(column),
                sql.Identifier(column),
                sql.Identifier(schema, table),
            )
        )


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
