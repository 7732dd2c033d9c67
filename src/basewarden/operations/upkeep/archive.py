"""The file of a backup: a tar of a manifest, the manifest's checksum, and one compressed COPY per table.

It is written under another name and renamed, so that an existing file is complete. Nothing of it is unpacked to disk.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from basewarden.errors import StartError

FORMAT = 1
_MANIFEST = "manifest.json"
_CHECKSUM = "manifest.sha256"
_LONGEST_MANIFEST = 10_000_000
_CHUNK = 1 << 16


class TableEntry(msgspec.Struct, frozen=True):
    name: str
    columns: list[str]
    rows: int
    sha256: str


class SequenceEntry(msgspec.Struct, frozen=True):
    name: str
    value: int
    is_called: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`key_ids` identify the keys that decrypt the sealed values; they reveal nothing of the keys.

    Tables: parents first.
    """

    format: int = FORMAT
    program: str
    made_at: datetime
    revision: str
    server: str
    tables: list[TableEntry]
    partitions: list[str]
    sequences: list[SequenceEntry]
    key_ids: list[str]


class ArchiveWriter:
    """Collects the tables beside the target file, then combines them."""

    def __init__(self, target: Path) -> None:
        if target.exists():
            raise StartError(f"{target} already exists. Choose a new file name.")
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.absolute().parent))
        except OSError as error:
            raise StartError(f"{target} cannot be written: {error.strerror}.") from None
        self._target = target

    @contextmanager
    def table(self, name: str) -> Iterator[Callable[[bytes], object]]:
        with _saying(self._target), gzip.GzipFile(self._folder / name, "wb", compresslevel=6, mtime=0) as file:
            yield file.write

    def digest(self, name: str) -> str:
        with (self._folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def finish(self, manifest: Manifest) -> None:
        content = msgspec.json.format(msgspec.json.encode(manifest))
        draft = self._folder / "draft.tar"
        with _saying(self._target), os.fdopen(_open_closed(draft), "wb") as file:
            (self._folder / _MANIFEST).write_bytes(content)
            (self._folder / _CHECKSUM).write_text(hashlib.sha256(content).hexdigest())
            with tarfile.open(fileobj=file, mode="w") as tar:
                for name in (_MANIFEST, _CHECKSUM, *(table.name for table in manifest.tables)):
                    tar.add(self._folder / name, arcname=name, filter=_without_owner)
                    (self._folder / name).unlink()
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._target)

    def clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Archive:
    """Opens a backup to read. Raises StartError with one sentence if it is no backup or damaged."""

    def __init__(self, source: Path) -> None:
        self._source = source
        try:
            self._tar = tarfile.open(source, "r:")  # noqa: SIM115 - closed by the archive's caller
        except OSError as error:
            raise StartError(f"{source} cannot be read: {error.strerror or 'it is not a backup'}.") from None
        except tarfile.TarError:
            raise StartError(f"{source} is not a Basewarden backup.") from None
        try:
            self.manifest = self._read_manifest()
        except StartError:
            self.close()
            raise

    def close(self) -> None:
        self._tar.close()

    def check(self) -> None:
        """Checks every table's checksum before any of them is used."""
        for table in self.manifest.tables:
            digest = hashlib.sha256()
            for chunk in iter(_reader(self._open(table.name)), b""):
                digest.update(chunk)
            if digest.hexdigest() != table.sha256:
                raise self._damaged(table.name)

    def chunks(self, name: str) -> Iterator[bytes]:
        with gzip.GzipFile(fileobj=self._open(name)) as file:
            yield from iter(_reader(cast("BinaryIO", file)), b"")

    def _read_manifest(self) -> Manifest:
        content = self._open(_MANIFEST).read(_LONGEST_MANIFEST)
        if hashlib.sha256(content).hexdigest() != self._open(_CHECKSUM).read(64).decode("ascii", "replace"):
            raise self._damaged(_MANIFEST)
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError:
            raise StartError(f"{self._source} was made by another version of Basewarden. Use that version.") from None
        if manifest.format != FORMAT:
            raise StartError(f"{self._source} was made by another version of Basewarden. Use that version.")
        return manifest

    def _open(self, name: str) -> BinaryIO:
        try:
            file = self._tar.extractfile(name)
        except (KeyError, tarfile.TarError):
            file = None
        if file is None:
            raise self._damaged(name)
        return cast("BinaryIO", file)

    def _damaged(self, what: str) -> StartError:
        return StartError(f"{self._source} is damaged: its {what} was changed. Use another backup.")


def write_closed(path: Path, text: str) -> None:
    """Creates a file that only its owner may read."""
    with _saying(path), os.fdopen(_open_closed(path), "w") as file:
        file.write(text)


def _open_closed(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from None


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _reader(file: BinaryIO) -> Callable[[], bytes]:
    return lambda: file.read(_CHUNK)
