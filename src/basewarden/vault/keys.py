"""Reads the vault's keys from the environment, or from a file beside the embedded database.

The file has one base64 key per line, the current one first. A process notices its change before it seals a value,
and when it meets an unknown key, so that keys can be rotated while it serves.
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from basewarden.core.secret import Secret
from basewarden.errors import StartError
from basewarden.settings import KEY_BYTES, Settings, decode_key

KEY_FILE_NAME = "encryption.keys"
KEY_ID_BYTES = 4


@dataclass(frozen=True, repr=False)
class VaultKey:
    value: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.value).digest()[:KEY_ID_BYTES]


class Keyring:
    """Keys that do not change, the current one first."""

    def __init__(self, keys: tuple[VaultKey, ...]) -> None:
        self._keys = keys

    def current(self) -> VaultKey:
        return self._keys[0]

    def find(self, key_id: bytes) -> VaultKey | None:
        return next((key for key in self._keys if key.id == key_id), None)


class FileKeyring(Keyring):
    """Keys of a file that `rotate-key` may change while a process serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at = _stamp(path)
        super().__init__(_read_keys(path))

    def current(self) -> VaultKey:
        self._reload_when_changed()
        return super().current()

    def find(self, key_id: bytes) -> VaultKey | None:
        key = super().find(key_id)
        if key is None:
            self._reload_when_changed()
            key = super().find(key_id)
        return key

    def begin_rotation(self) -> None:
        """Adds a new current key, unless an earlier rotation was interrupted: then that one is continued."""
        keys = _read_keys(self.path)
        if len(keys) == 1:
            _write_keys(self.path, (_make_key(), *keys))
        self._reload_when_changed()

    def end_rotation(self) -> None:
        """Drops every key except the current one. Call it only when no value is sealed under the others."""
        _write_keys(self.path, _read_keys(self.path)[:1])
        self._reload_when_changed()

    def _reload_when_changed(self) -> None:
        stamp = _stamp(self.path)
        if stamp != self._read_at:
            self._keys = _read_keys(self.path)
            self._read_at = stamp


def make_keyring(settings: Settings) -> Keyring:
    """Uses the key file only if the settings' key came from it; a key in the environment always has priority."""
    given = tuple(VaultKey(decode_key(key)) for key in (settings.encryption_key, settings.encryption_key_old) if key)
    if settings.data_dir is not None:
        path = settings.data_dir / KEY_FILE_NAME
        if path.exists() and given[0] in _read_keys(path):
            return FileKeyring(path)
    return Keyring(given)


def start_key_file(data_dir: Path) -> Secret:
    """Returns the current key of the data folder, which is created at the first start."""
    path = data_dir / KEY_FILE_NAME
    if not path.exists():
        _write_keys(path, (_make_key(),))
    return read_key_file(path)


def read_key_file(path: Path) -> Secret:
    return Secret(_encode(_read_keys(path)[0]))


def _make_key() -> VaultKey:
    return VaultKey(os.urandom(KEY_BYTES))


def _encode(key: VaultKey) -> str:
    return base64.b64encode(key.value).decode()


def _read_keys(path: Path) -> tuple[VaultKey, ...]:
    try:
        keys = tuple(VaultKey(decode_key(Secret(line))) for line in path.read_text().split())
    except (OSError, ValueError):
        keys = ()
    if not keys:
        raise StartError(f"The key file {path} cannot be read. Without it no stored secret can be decrypted.")
    return keys


def _write_keys(path: Path, keys: tuple[VaultKey, ...]) -> None:
    """Written atomically: a torn key file would lose every secret."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{_encode(key)}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
