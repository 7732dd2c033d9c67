"""A backup brought back into an empty server is the deployment it was made of."""

import asyncio
import base64
import os
import stat
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic import command

from basewarden.audit import verify_chain
from basewarden.core.secret import Secret
from basewarden.db import Base, Database
from basewarden.db.migrations.migrate import make_alembic_config
from basewarden.errors import StartError
from basewarden.operations.upkeep.backup import make_backup
from basewarden.operations.upkeep.restore import restore_backup
from basewarden.settings import Settings
from basewarden.vault import list_sealed_columns
from tests.fixtures.app import PASSWORD, ProjectDatabase, ServedProduct, serve_product
from tests.fixtures.bench import OwnWorkshop
from tests.fixtures.ports import open_listener
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.sql import run_sql

CHECKOUT = Path(__file__).parents[2]
OWNER = {"email": "owner@example.com", "password": PASSWORD}
SHOP = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'tea'), (2, 'cake')"


def print_nothing(_: str) -> None:
    return


def move(settings: Settings, dsn: str) -> Settings:
    """The same deployment on another database."""
    return settings.model_copy(update={"database_url": Secret(dsn)})


@asynccontextmanager
async def serving_on(settings: Settings) -> AsyncIterator[ServedProduct]:
    listener = open_listener()
    own = settings.model_copy(update={"origin": f"http://127.0.0.1:{listener.getsockname()[1]}"})
    async with serve_product(own, listener) as product:
        yield product


async def test_a_deployment_comes_back_whole(
    own_workshop: OwnWorkshop, settings: Settings, database: str, tmp_path: Path
) -> None:
    """The rehearsal: a session made before the backup is undone after the restore, on another server's database."""
    workshop = await own_workshop.open()
    bench = await workshop.bench(SHOP)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/items?id=eq.1", {"name": "coffee"})
    await agent.write("DELETE", "/items?id=eq.2")
    file = tmp_path / "deployment.backup"
    backup = await make_backup(settings, file, print_nothing)
    assert backup.sealed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208 - names only, and nothing is left beside it

    restored = move(settings, database)
    await restore_backup(restored, file, print_nothing)
    async with serving_on(restored) as product:
        owner = await product.client()
        assert (await owner.post("/api/auth/signin", json=OWNER)).status_code == 200
        health = await owner.get(f"/api/connections/{bench.connection_id}/health")
        assert health.status_code == 200, health.text
        row = {"id": 3, "name": "scone"}
        path = f"/api/v/{bench.connection_id}/rest/v1/items"
        agent_again = await product.client()
        answer = await agent_again.post(path, json=row, headers={"apikey": agent.token})
        assert answer.status_code == 201, answer.text
        undo = f"/api/connections/{bench.connection_id}/sessions/{written.session_id}/undo"
        receipt = await owner.post(undo, json={"mode": "apply", "onConflict": "refuse"})
        assert receipt.status_code == 200, receipt.text
    assert await bench.rows("SELECT * FROM items ORDER BY id") == [
        {"id": 1, "name": "tea"},
        {"id": 2, "name": "cake"},
    ]


async def test_every_row_and_sequence_comes_back_and_the_audit_verifies(
    owner: httpx.AsyncClient, connection_id: str, settings: Settings, app_database: str, database: str, tmp_path: Path
) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "quite another long walk"}
    assert (await owner.post("/api/account/change-password", json=body)).status_code == 200
    # An erased event, a month that no new database would make, and text that COPY must escape.
    await run_sql(
        app_database,
        "UPDATE audit_events SET address = NULL, client = NULL, name = NULL, salt = NULL WHERE id = 1;"
        "CREATE TABLE journal_mutations_2020_02 PARTITION OF journal_mutations"
        " FOR VALUES FROM ('2020-02-01 00:00+00') TO ('2020-03-01 00:00+00');"
        r"UPDATE connections SET name = E'tab\there \\. \\N \nnew line “quotes” \u2028'",
    )
    before = await read_everything(app_database)
    await make_backup(settings, tmp_path / "one", print_nothing)
    restored = move(settings, database)
    await restore_backup(restored, tmp_path / "one", print_nothing)
    after = await read_everything(database)
    assert sorted(before) == sorted(after)
    for name, content in before.items():
        assert content == after[name], name
    ours = Database(restored.database_url)
    verdict = await verify_chain(ours)
    await ours.close()
    assert verdict.is_good
    assert verdict.count > 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_sql(database, "SET session_replication_role = replica; DELETE FROM audit_events")


async def read_everything(dsn: str) -> dict[str, object]:
    """Every table's rows as text, every sequence, and how each trigger is set."""
    tables = await run_sql(
        dsn,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname NOT LIKE 'procrastinate_%'",
    )
    found: dict[str, object] = {}
    for (name,) in tables:
        found[str(name)] = sorted(str(row) for (row,) in await run_sql(dsn, f'SELECT t::text FROM "{name}" t'))
    found["sequences"] = await run_sql(dsn, "SELECT sequencename::text, last_value FROM pg_sequences ORDER BY 1")
    found["triggers"] = await run_sql(
        dsn,
        "SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger"
        " WHERE NOT tgisinternal ORDER BY 1, 2",
    )
    return found


async def test_a_backup_is_of_one_moment_though_others_write(
    settings: Settings, app_database: str, database: str, tmp_path: Path
) -> None:
    """A parent and its child are added after the first table has been read: neither is in the backup, or both are."""

    async def add(number: int) -> None:
        await run_sql(
            app_database,
            f"WITH one AS (INSERT INTO users (id, email, email_key) VALUES (gen_random_uuid(), '{number}', '{number}')"
            " RETURNING id) INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports,"
            f" is_backed_up) SELECT gen_random_uuid(), id, '\\x{number:04}', '', 0, '', '{{}}', false FROM one",
        )

    adding: list[asyncio.Task[None]] = []

    def add_one(_: str) -> None:
        adding.append(asyncio.create_task(add(len(adding))))

    await make_backup(settings, tmp_path / "one", add_one)
    await asyncio.gather(*adding)
    await restore_backup(move(settings, database), tmp_path / "one", print_nothing)
    assert len(adding) > 10
    (counts,) = await run_sql(database, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM passkeys)")
    assert counts[0] == counts[1]


async def test_a_full_database_is_refused_and_not_touched(
    owner: httpx.AsyncClient, settings: Settings, app_database: str, tmp_path: Path, product: ServedProduct
) -> None:
    await make_backup(settings, tmp_path / "one", print_nothing)
    with pytest.raises(StartError, match=r"is running on this database\. Stop it first"):
        await restore_backup(settings, tmp_path / "one", print_nothing)


async def test_rows_in_the_way_are_named(settings: Settings, app_database: str, tmp_path: Path) -> None:
    await make_backup(settings, tmp_path / "one", print_nothing)
    await run_sql(app_database, "INSERT INTO users (id, email, email_key) VALUES (gen_random_uuid(), 'a', 'a')")
    with pytest.raises(StartError, match=r"not empty \(users contains rows\)"):
        await restore_backup(settings, tmp_path / "one", print_nothing)
    assert await run_sql(app_database, "SELECT email FROM users") == [("a",)]


async def test_a_damaged_backup_changes_nothing(
    connection_id: str, settings: Settings, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "one"
    await make_backup(settings, file, print_nothing)
    with tarfile.open(file) as tar:
        places = {member.name: (member.offset_data, member.size) for member in tar}
    content = file.read_bytes()
    for name in ("users", "manifest.json"):
        start, size = places[name]
        middle = start + size // 2
        (tmp_path / "bad").write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(StartError, match=f"is damaged: its {name} was changed"):
            await restore_backup(move(settings, database), tmp_path / "bad", print_nothing)
    (tmp_path / "bad").write_bytes(content[: len(content) // 2])
    with pytest.raises(StartError, match="is damaged"):
        await restore_backup(move(settings, database), tmp_path / "bad", print_nothing)
    (tmp_path / "bad").write_bytes(b"\0" * 10_000)
    with pytest.raises(StartError, match=r"is not a Basewarden backup|is not a backup|is damaged"):
        await restore_backup(move(settings, database), tmp_path / "bad", print_nothing)
    with pytest.raises(StartError, match="cannot be read"):
        await restore_backup(move(settings, database), tmp_path / "missing", print_nothing)
    assert await run_sql(database, "SELECT count(*) FROM pg_class WHERE relname = 'users'") == [(0,)]


async def test_a_deployment_with_another_key_is_refused_before_anything_is_written(
    connection_id: str, settings: Settings, database: str, tmp_path: Path
) -> None:
    await make_backup(settings, tmp_path / "one", print_nothing)
    other = Secret(base64.b64encode(os.urandom(32)).decode())
    elsewhere = move(settings, database).model_copy(update={"encryption_key": other})
    with pytest.raises(StartError, match="sealed with another key") as refusal:
        await restore_backup(elsewhere, tmp_path / "one", print_nothing)
    assert other.reveal() not in str(refusal.value)
    assert await run_sql(database, "SELECT count(*) FROM pg_class WHERE relname = 'users'") == [(0,)]
    await restore_backup(elsewhere, tmp_path / "one", print_nothing, without_key=True)
    assert await run_sql(database, "SELECT count(*) FROM connections") == [(1,)]


async def test_the_key_is_never_in_a_backup(connection_id: str, settings: Settings, tmp_path: Path) -> None:
    backup = await make_backup(settings, tmp_path / "one", print_nothing)
    text = " ".join(backup.list_sentences(settings))
    assert "THE ENCRYPTION KEY IS NOT IN IT" in text
    assert "BASEWARDEN_ENCRYPTION_KEY" in text
    key = settings.encryption_key.reveal()
    assert key not in text
    with tarfile.open(tmp_path / "one") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest
        assert key.encode() not in manifest.read()
    with_key = await make_backup(settings, tmp_path / "two", print_nothing, with_key=True)
    assert with_key.key_file == tmp_path / "two.keys"
    assert with_key.key_file.read_text() == f"{key}\n"
    assert stat.S_IMODE(with_key.key_file.stat().st_mode) == 0o600
    with pytest.raises(StartError, match="already exists"):
        await make_backup(settings, tmp_path / "two", print_nothing)
    (tmp_path / "two").unlink()
    with pytest.raises(StartError, match=r"two\.keys already exists"):
        await make_backup(settings, tmp_path / "two", print_nothing, with_key=True)
    assert not (tmp_path / "two").exists()


async def test_an_older_backup_is_brought_up_to_date(
    settings: Settings, app_database: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by a program whose newest migration was 0006."""
    await asyncio.to_thread(command.downgrade, make_alembic_config(settings.database_url), "0006")
    await run_sql(app_database, "INSERT INTO users (id, email, email_key) VALUES (gen_random_uuid(), 'a', 'a')")
    with pytest.raises(StartError, match="Run `basewarden migrate` first"):
        await make_backup(settings, tmp_path / "one", print_nothing)
    monkeypatch.setattr("basewarden.operations.upkeep.backup.find_head", lambda _: "0006")
    later = ("connections.sealed_key", "alerts.")
    known_then = [one for one in list_sealed_columns(Base.metadata) if not one.place_name.startswith(later)]
    monkeypatch.setattr("basewarden.operations.upkeep.backup.list_sealed_columns", lambda _: known_then)
    await make_backup(settings, tmp_path / "one", print_nothing)
    monkeypatch.undo()
    await restore_backup(move(settings, database), tmp_path / "one", print_nothing)
    assert await run_sql(database, "SELECT email FROM users") == [("a",)]
    assert await run_sql(database, "SELECT count(*) FROM billing_event") == [(0,)]


async def run_command(settings: Settings, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and all that it said."""
    own = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT / "src"),
        "BASEWARDEN_SECRET": settings.secret.reveal(),
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "basewarden", *arguments),
        env=own,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def bring_key(file: Path, data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    (data_dir / "encryption.keys").write_text(file.read_text())


@pytest.mark.slow
async def test_a_backup_moves_into_an_embedded_server(
    connection_id: str, project: ProjectDatabase, settings: Settings, data_dir: Path, tmp_path: Path
) -> None:
    """By the commands alone, from a DATABASE_URL to a data folder that holds only the key."""
    file = tmp_path / "one"
    given = {
        "DATABASE_URL": settings.database_url.reveal(),
        "BASEWARDEN_ENCRYPTION_KEY": settings.encryption_key.reveal(),
    }
    code, said = await run_command(settings, "backup", str(file), "--with-key", **given)
    assert code == 0, said
    assert "Store it separately from the backup" in said
    bring_key(Path(f"{file}.keys"), data_dir)
    code, said = await run_command(settings, "restore", str(file), BASEWARDEN_DATA_DIR=str(data_dir))
    assert code == 0, said
    assert "rows of" in said
    code, said = await run_command(settings, "doctor", BASEWARDEN_DATA_DIR=str(data_dir))
    assert code == 0, said
    assert "keys: all 1 stored secrets can be decrypted" in said
    assert project.dsn not in said
    code, said = await run_command(settings, "restore", str(file), BASEWARDEN_DATA_DIR=str(data_dir))
    assert code == 1
    assert said.strip().splitlines()[-1].startswith("basewarden: This database is not empty")


async def test_an_ordinary_owner_of_the_database_can_restore(
    connection_id: str, settings: Settings, postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    """No managed PostgreSQL hands out a superuser."""
    name = database.rpartition("/")[2]
    await run_sql(
        database,
        f"CREATE ROLE plain_{name} LOGIN PASSWORD 'plain-pa55'; ALTER DATABASE {name} OWNER TO plain_{name};"
        f"ALTER SCHEMA public OWNER TO plain_{name}",
    )
    plain = f"postgresql://plain_{name}:plain-pa55@{database.rpartition('@')[2]}"
    try:
        await make_backup(settings, tmp_path / "one", print_nothing)
        await restore_backup(move(settings, plain), tmp_path / "one", print_nothing)
        assert await run_sql(plain, "SELECT count(*) FROM connections") == [(1,)]
        again = move(settings, plain)
        await make_backup(again, tmp_path / "two", print_nothing)
    finally:
        await postgres.drop_database(database)
        await run_sql(postgres.embedded.dsn("postgres"), f"DROP ROLE plain_{name}")
