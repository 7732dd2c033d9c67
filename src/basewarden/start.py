"""Loads the settings and starts the database, which every command does first."""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from basewarden.core.secret import Secret
from basewarden.db import check_database
from basewarden.db.embedded import EmbeddedServer, start_embedded
from basewarden.db.migrations import migrate
from basewarden.settings import Settings, load_settings
from basewarden.vault import start_key_file

OWN_DATABASE = "basewarden"
_SECRET_FILE = "signing.secret"  # noqa: S105 - a file's name
_CHECKOUT = Path(__file__).parents[2]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Started:
    """`embedded` is None where DATABASE_URL names a database."""

    settings: Settings
    embedded: EmbeddedServer | None

    async def stop(self) -> None:
        if self.embedded is not None:
            await self.embedded.stop()


async def start(progress: Progress, *, origin: str | None = None, allow_private: bool = False) -> Started:
    """Raises StartError with one sentence if a setting is invalid or the database cannot be used."""
    overrides: dict[str, object] = {}
    if origin is not None and "BASEWARDEN_ORIGIN" not in os.environ:
        overrides["BASEWARDEN_ORIGIN"] = origin
    if allow_private:
        overrides["BASEWARDEN_ALLOW_PRIVATE_ADDRESSES"] = True
    if os.environ.get("DATABASE_URL"):
        settings = load_settings(**overrides)
        await check_database(settings.database_url)
        return Started(settings, None)
    return await _start_with_embedded(progress, overrides)


async def start_migrated(progress: Progress, *, origin: str | None = None, allow_private: bool = False) -> Started:
    started = await start(progress, origin=origin, allow_private=allow_private)
    try:
        progress("Applying database migrations")
        await asyncio.to_thread(migrate, started.settings.database_url)
    except BaseException:
        await started.stop()
        raise
    return started


async def _start_with_embedded(progress: Progress, overrides: dict[str, object]) -> Started:
    data_dir = find_data_dir()
    embedded = await start_embedded(data_dir, progress=progress)
    try:
        await embedded.create_database(OWN_DATABASE)
        own = {
            "DATABASE_URL": Secret(embedded.dsn(OWN_DATABASE)),
            "BASEWARDEN_DATA_DIR": data_dir,
            "BASEWARDEN_SECRET": _read_environment_or("BASEWARDEN_SECRET", lambda: _read_or_create_secret(data_dir)),
            "BASEWARDEN_ENCRYPTION_KEY": _read_environment_or(
                "BASEWARDEN_ENCRYPTION_KEY", lambda: start_key_file(data_dir)
            ),
        }
        return Started(load_settings(**{**own, **overrides}), embedded)
    except BaseException:
        await embedded.stop()
        raise


def find_data_dir() -> Path:
    given = os.environ.get("BASEWARDEN_DATA_DIR")
    return Path(given).absolute() if given else _CHECKOUT / ".data"


def export_to_workers(settings: Settings) -> None:
    """Puts the settings into the environment, from which worker processes read them."""
    os.environ["DATABASE_URL"] = settings.database_url.reveal()
    os.environ["BASEWARDEN_SECRET"] = settings.secret.reveal()
    os.environ["BASEWARDEN_ENCRYPTION_KEY"] = settings.encryption_key.reveal()
    os.environ["BASEWARDEN_ORIGIN"] = settings.origin
    os.environ["BASEWARDEN_ALLOW_PRIVATE_ADDRESSES"] = "1" if settings.allow_private_addresses else "0"
    if settings.data_dir is not None:
        os.environ["BASEWARDEN_DATA_DIR"] = str(settings.data_dir)


def _read_environment_or(name: str, make: Callable[[], Secret]) -> Secret:
    given = os.environ.get(name)
    return Secret(given) if given else make()


def _read_or_create_secret(data_dir: Path) -> Secret:
    path = data_dir / _SECRET_FILE
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return Secret(path.read_text().strip())
