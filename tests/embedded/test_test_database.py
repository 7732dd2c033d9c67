"""The harness itself: databases of a run are apart, and templates carry over."""

import psycopg

from tests.fixtures.postgres import PostgresServer


async def test_a_template_carries_over_and_copies_are_apart(postgres: PostgresServer, database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE thing AS SELECT 1 AS n")
    copy = await postgres.create_database(template=database.rpartition("/")[2])
    async with await psycopg.AsyncConnection.connect(copy, autocommit=True) as connection:
        await connection.execute("UPDATE thing SET n = 2")
    async with await psycopg.AsyncConnection.connect(database) as connection:
        assert await (await connection.execute("SELECT n FROM thing")).fetchone() == (1,)
    await postgres.drop_database(copy)
