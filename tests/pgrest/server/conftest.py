"""One shop for all who only look, with a login role as PostgREST's authenticator is one."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql

from pgrest.config import RestConfig
from pgrest.server import RestServer
from tests.fixtures.postgres import PostgresServer
from tests.pgrest.conftest import Client, settings_for
from tests.pgrest.server.rest_process import Rest, running_rest

LOGIN, PASSWORD = "rest_login", "rest-pa55word"


@pytest.fixture(scope="session")
async def quiet_shop(postgres: PostgresServer, shop_template: str) -> AsyncIterator[str]:
    """The superuser's address of a shop that no test changes."""
    dsn = await postgres.create_database(template=shop_template)
    yield dsn
    await postgres.drop_database(dsn)


@pytest.fixture(scope="session")
async def login(postgres: PostgresServer, shop_template: str) -> None:
    """May become web_anon and web_reader, and nothing else."""
    async with await psycopg.AsyncConnection.connect(postgres.embedded.dsn("postgres"), autocommit=True) as admin:
        create = sql.SQL("CREATE ROLE {} LOGIN NOINHERIT PASSWORD {}")
        await admin.execute(create.format(sql.Identifier(LOGIN), sql.Literal(PASSWORD)))
        await admin.execute(sql.SQL("GRANT web_anon, web_reader TO {}").format(sql.Identifier(LOGIN)))


def as_login(dsn: str) -> str:
    return f"postgresql://{LOGIN}:{PASSWORD}@{dsn.rpartition('@')[2]}"


@pytest.fixture(scope="module")
async def reader(quiet_shop: str) -> AsyncIterator[Client]:
    app = RestServer(settings_for(quiet_shop, RestConfig()))
    await app.start()
    yield Client(app)
    await app.stop()


@pytest.fixture(scope="module")
async def quiet_rest(quiet_shop: str, login: None) -> AsyncIterator[Rest]:
    """A process that many tests look at and none changes."""
    async with running_rest(as_login(quiet_shop), log_level="info", log_query=True, server_timing_enabled=True) as rest:
        yield rest
