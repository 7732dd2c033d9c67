import asyncio
import base64
import os
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.errors import StartError
from basewarden.settings import Settings
from basewarden.vault import (
    KEY_FILE_NAME,
    RotationCount,
    SealContext,
    Vault,
    VaultError,
    make_keyring,
    rotate_keys,
    start_key_file,
)
from basewarden.vault.keys import FileKeyring, Keyring, VaultKey
from tests.fixtures.app import ProjectDatabase, Serve, make_settings

COLUMN = "connections.sealed_postgres_url"


@pytest.fixture
def settings(app_database: str, tmp_path: Path) -> Settings:
    """As an embedded start makes them: the key lies in the data folder."""
    key = start_key_file(tmp_path)
    return make_settings(app_database).model_copy(update={"data_dir": tmp_path, "encryption_key": key})


@pytest.fixture
async def stored(settings: Settings) -> Any:
    database = Database(settings.database_url)
    yield database
    await database.close()


async def read_sealed(database: Database) -> dict[UUID, bytes]:
    async with database.read_only() as session:
        rows = await session.execute(text("SELECT id, sealed_postgres_url FROM connections"))
        return {row_id: bytes(value) for row_id, value in rows}


def of_connections(counts: list[RotationCount]) -> list[RotationCount]:
    """Other features have sealed columns too."""
    return [count for count in counts if count.column == COLUMN]


async def create(person: httpx.AsyncClient, url: str, name: str = "Shop") -> str:
    answer = await person.post("/api/connections", json={"name": name, "postgresUrl": url})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_rotation_while_serving_loses_nothing_and_drops_the_old_key(
    serve: Serve, settings: Settings, stored: Database, project: ProjectDatabase, tmp_path: Path
) -> None:
    product, second = await serve(), await serve()
    owner = await product.sign_up("owner@example.com")
    elsewhere = httpx.AsyncClient(base_url=second.settings.origin, cookies=owner.cookies, trust_env=False)
    first_key = (tmp_path / KEY_FILE_NAME).read_text()
    ids = [await create(owner, project.dsn, f"Shop {number}") for number in range(3)]

    async def keep_changing() -> int:
        """Seals all the time, in both processes, while the keys change under them."""
        changes = 0
        while not rotated.is_set():
            for person in (owner, elsewhere):
                url = f"{project.dsn}?application_name=change{changes}"
                answer = await person.patch(f"/api/connections/{ids[0]}", json={"postgresUrl": url})
                assert answer.status_code in {200, 429}, answer.text
                changes += 1
        return changes

    rotated = asyncio.Event()
    changing = asyncio.create_task(keep_changing())
    counts = of_connections(await rotate_keys(stored, Vault(make_keyring(settings))))
    rotated.set()
    assert await changing > 0

    assert [count.column for count in counts] == [COLUMN]
    assert counts[0].resealed >= len(ids) - 1
    assert counts[0].unreadable == 0
    keys = (tmp_path / KEY_FILE_NAME).read_text()
    assert len(keys.split()) == 1
    assert keys != first_key
    only_new = Vault(FileKeyring(tmp_path / KEY_FILE_NAME))
    for row_id, sealed in (await read_sealed(stored)).items():
        assert only_new.open(sealed, SealContext(COLUMN, row_id)).reveal().startswith(project.dsn)
    for person in (owner, elsewhere):
        answer = await person.get(f"/api/connections/{ids[2]}/health")
        assert answer.status_code == 429 or answer.json()["ok"]
    await elsewhere.aclose()


async def test_a_serving_process_picks_up_the_new_key_when_it_meets_it(
    serve: Serve, settings: Settings, stored: Database, project: ProjectDatabase
) -> None:
    product = await serve()
    owner = await product.sign_up("owner@example.com")
    connection = await create(owner, project.dsn)
    await rotate_keys(stored, Vault(make_keyring(settings)))
    assert (await owner.get(f"/api/connections/{connection}/health")).json()["ok"]


async def test_with_keys_of_the_environment_rotation_reseals_once_and_then_rests(
    serve: Serve, app_database: str, stored: Database, project: ProjectDatabase
) -> None:
    old = Secret(base64.b64encode(os.urandom(32)).decode())
    new = Secret(base64.b64encode(os.urandom(32)).decode())
    product = await serve({"encryption_key": old, "data_dir": None})
    await create(await product.sign_up("owner@example.com"), project.dsn)

    both = make_settings(app_database).model_copy(update={"encryption_key": new, "encryption_key_old": old})
    first = await rotate_keys(stored, Vault(make_keyring(both)))
    again = await rotate_keys(stored, Vault(make_keyring(both)))
    assert [count.resealed for count in of_connections(first + again)] == [1, 0]

    only_new = Vault(make_keyring(both.model_copy(update={"encryption_key_old": None})))
    ((row_id, sealed),) = (await read_sealed(stored)).items()
    assert only_new.open(sealed, SealContext(COLUMN, row_id)) == Secret(project.dsn)


async def test_a_cut_off_rotation_goes_on_and_an_unreadable_value_keeps_the_old_key(
    serve: Serve, settings: Settings, stored: Database, project: ProjectDatabase, tmp_path: Path
) -> None:
    owner = await (await serve()).sign_up("owner@example.com")
    await create(owner, project.dsn)
    broken = await create(owner, project.dsn)
    await damage(stored, broken)

    keyring = make_keyring(settings)
    assert isinstance(keyring, FileKeyring)
    keyring.begin_rotation()  # and here the first run was cut off
    begun = (tmp_path / KEY_FILE_NAME).read_text()
    vault = Vault(make_keyring(settings.model_copy(update={"encryption_key": first_of(begun)})))
    (count,) = of_connections(await rotate_keys(stored, vault))
    assert (count.resealed, count.unreadable) == (1, 1)
    assert (tmp_path / KEY_FILE_NAME).read_text() == begun


async def damage(database: Database, connection_id: str) -> None:
    async with database.unit_of_work() as session:
        damaged = "set_byte(sealed_postgres_url, 20, get_byte(sealed_postgres_url, 20) # 1)"
        query = f"UPDATE connections SET sealed_postgres_url = {damaged} WHERE id = :id"
        await session.execute(text(query), {"id": UUID(connection_id)})


def first_of(keys: str) -> Secret:
    return Secret(keys.split(maxsplit=1)[0])


def test_the_key_file_is_private_and_kept(tmp_path: Path) -> None:
    key = start_key_file(tmp_path)
    assert start_key_file(tmp_path) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE_NAME).stat().st_mode) == 0o600


def test_a_key_set_by_hand_wins_over_the_file(settings: Settings) -> None:
    by_hand = base64.b64encode(os.urandom(32)).decode()
    keyring = make_keyring(settings.model_copy(update={"encryption_key": Secret(by_hand)}))
    assert keyring.current() == VaultKey(base64.b64decode(by_hand))
    assert type(keyring) is Keyring


def test_a_broken_key_file_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE_NAME).write_text("not a key\n")
    with pytest.raises(StartError, match="cannot be read"):
        start_key_file(tmp_path)


def test_a_changed_value_is_an_error_of_its_own(settings: Settings) -> None:
    vault = Vault(make_keyring(settings))
    place = SealContext(COLUMN, UUID(int=1))
    with pytest.raises(VaultError):
        vault.open(b"", place)
