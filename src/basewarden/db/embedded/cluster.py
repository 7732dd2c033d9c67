"""One cluster on disk: where it lies, its password and port, how it is made, whether it runs.

data_dir/lock       held by the process that owns the server
data_dir/password   of the superuser, mode 600
data_dir/port       the last one, so that addresses survive a restart
data_dir/postgres/  the server user's: data/ and postgres.log; a link where that user cannot come here
"""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from basewarden.core.secret import Secret
from basewarden.db.embedded.errors import EmbeddedError
from basewarden.db.embedded.programs import (
    Programs,
    ServerUser,
    choose_server_user,
    find_programs,
    make_system_home,
)

SUPERUSER = "postgres"
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # short statements: compiling them costs more than it saves
    "log_checkpoints": "off",
    # A failed statement's text may hold what must not lie in a log.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    folder: Path
    home: Path
    programs: Programs
    password: Secret

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def port_file(self) -> Path:
        return self.folder / "port"

    def dsn(self, port: int, database: str) -> str:
        password = quote(self.password.reveal(), safe="")
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{quote(database, safe='')}"


def make_folder(data_dir: Path) -> Path:
    """The folder, made where missing: closed, but root's lets its server's user pass through."""
    folder = data_dir.absolute()
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


def find_cluster(folder: Path) -> Cluster | None:
    """The cluster that another process has made in this folder, if it is complete."""
    home = folder / "postgres"
    if not (home / "data" / "PG_VERSION").exists():
        return None
    home = home.resolve()
    return Cluster(folder, home, find_programs(choose_server_user(home)), _read_password(folder))


async def open_cluster(folder: Path, progress: Callable[[str], None]) -> Cluster:
    """The cluster of this folder, made where missing. Only for the process that holds the folder's lock."""
    existing = find_cluster(folder)
    if existing is not None:
        _check_version(existing)
        return existing
    home, user = _make_home(folder, progress)
    cluster = Cluster(folder, home, find_programs(user), _make_password(folder))
    progress("Creating the database cluster")
    await _initialise(cluster)
    return cluster


def find_postmaster(data: Path) -> Postmaster | None:
    """The live server of this cluster; a file left by a killed one does not count."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        postmaster = Postmaster(pid=int(lines[0]), port=int(lines[3]))
    except (FileNotFoundError, ValueError, IndexError):  # absent, or being written
        return None
    return postmaster if _is_server_of(data, postmaster.pid) else None


def remove_stale_pid_file(data: Path) -> None:
    """PostgreSQL takes any live process with the old server's number for that server, a zombie too."""
    if find_postmaster(data) is None:
        (data / "postmaster.pid").unlink(missing_ok=True)


def _is_server_of(data: Path, pid: int) -> bool:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(data)
        except OSError:  # gone, a zombie, or another user's
            return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def _make_home(folder: Path, progress: Callable[[str], None]) -> tuple[Path, ServerUser]:
    link = folder / "postgres"
    user = choose_server_user(link.resolve() if link.exists() else None)
    if link.exists():
        return link.resolve(), user
    if user.can_enter(folder):
        link.mkdir(mode=0o700)
    else:
        elsewhere = Path(tempfile.mkdtemp(prefix="cluster-", dir=make_system_home()))
        progress(f"PostgreSQL's user cannot enter {folder}, so the cluster lies in {elsewhere}")
        link.unlink(missing_ok=True)  # it led to a cluster that is gone
        link.symlink_to(elsewhere)
    user.own(link.resolve())
    return link.resolve(), user


def _make_password(folder: Path) -> Secret:
    path = folder / "password"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    return _read_password(folder)


def _read_password(folder: Path) -> Secret:
    path = folder / "password"
    try:
        password = path.read_text().strip()
    except FileNotFoundError:
        password = ""
    if not password:
        raise EmbeddedError(f"The embedded PostgreSQL's password is missing from {path}; put the file back.")
    return Secret(password)


def _check_version(cluster: Cluster) -> None:
    has = (cluster.data / "PG_VERSION").read_text().strip()
    ours = cluster.programs.major_version
    if has != ours:
        raise EmbeddedError(
            f"{cluster.data} was made by PostgreSQL {has} and this is PostgreSQL {ours}; "
            "dump it with the old one and restore it here."
        )


async def _initialise(cluster: Cluster) -> None:
    """Makes it aside and renames it, so that a cluster that is there is a whole one.

    The built-in C.UTF-8 sorts by code point on every machine: no update of the operating system can change
    an order that an index relies on, and no locale has to be installed.
    """
    unfinished = cluster.home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=cluster.home) as password_file:
        password_file.write(cluster.password.reveal())
        password_file.flush()
        cluster.programs.user.own(Path(password_file.name))
        result = await cluster.programs.run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            *(f"--set={name}={value}" for name, value in SETTINGS.items()),
        )
    if result.returncode != 0:
        lines = result.stdout.strip().splitlines()
        raise EmbeddedError(f"The database cluster could not be made in {cluster.home}: {lines[-1] if lines else '?'}")
    unfinished.rename(cluster.data)
