"""Sets up a virtual environment from the locked packages: `environment.py <venv> run|demo|dev|node`.

Runs before anything is installed, so it uses the standard library alone. A set that is up to date costs one
comparison; an interrupted setup is done again; two at once wait for each other.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# Each of these sets holds the ones before it, in the same versions.
SETS = ("run", "demo", "dev")
INSTALLER = "installer"
"""The locked set that holds uv, which installs the others."""
ABOUT_SOURCES = ("index", "proxy")
"""Words in the names of pip's settings that say where packages come from; uv would not know them."""


class SetupError(Exception):
    """The environment cannot be set up; the text is for the person who started the command."""


def print_line(message: str) -> None:
    print(f"basewarden: {message}", file=sys.stderr, flush=True)


def main(venv: Path, packages: str) -> None:
    if is_installed(venv, packages):
        return
    with lock_parent(venv):
        if not is_installed(venv, packages):
            if unfinished_file(venv).exists() or not has_pip(venv):
                create_environment(venv)
            install(venv, packages)


@contextmanager
def lock_parent(venv: Path) -> Iterator[None]:
    """Locks the environment's folder; a second process waits."""
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(venv.parent, os.O_RDONLY)
    except OSError as error:
        raise SetupError(f"{venv.parent} cannot be used: {error.strerror}.") from error
    try:
        if not os.access(venv if venv.exists() else venv.parent, os.W_OK):
            raise SetupError(f"{venv.parent} cannot be written; set BASEWARDEN_HOME to a folder that can.")
        wait_for(folder)
        yield
    finally:
        os.close(folder)


def wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print_line("waiting for another setup of this environment")
        fcntl.flock(lock, fcntl.LOCK_EX)


# What is there


def lock_file(packages: str) -> Path:
    return CHECKOUT / "requirements" / f"{packages}.txt"


def stamp_file(venv: Path, packages: str) -> Path:
    return venv / f"basewarden-{packages}.stamp"


def unfinished_file(venv: Path) -> Path:
    """Exists while pip works: an interrupted installation looks complete to the next one."""
    return venv / "basewarden-unfinished"


def stamp_of(packages: str) -> str:
    """Names the locked versions and the checkout that the environment points at."""
    return f"{hashlib.sha256(lock_file(packages).read_bytes()).hexdigest()} {CHECKOUT}"


def is_installed(venv: Path, packages: str) -> bool:
    stamp = stamp_file(venv, packages)
    return os.access(venv / "bin" / "python", os.X_OK) and stamp.exists() and stamp.read_text() == stamp_of(packages)


def has_pip(venv: Path) -> bool:
    """Whether there is a complete environment that packages can be installed into."""
    python = venv / "bin" / "python"
    return os.access(python, os.X_OK) and succeeds(*pip_for(venv), "--version")


# Making the environment


def create_environment(venv: Path) -> None:
    print_line(f"making {venv} with Python {sys.version.split()[0]}")
    if not (try_whole(venv) or try_with_our_pip(venv) or try_after_apt(venv)):
        raise SetupError(
            f"{sys.executable} cannot create virtual environments. Install its venv module "
            "(on Debian or Ubuntu: apt-get install python3-venv) and start again."
        )


def try_whole(venv: Path) -> bool:
    return succeeds(sys.executable, "-m", "venv", "--clear", str(venv))


def try_with_our_pip(venv: Path) -> bool:
    """Debian packages pip without the module that installs it into an environment."""
    return (
        succeeds(sys.executable, "-m", "pip", "--version")
        and succeeds(sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv))
        and succeeds(*pip_for(venv), "--version")
    )


def try_after_apt(venv: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print_line("this Python cannot create virtual environments; installing Debian's package python3-venv")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "python3-venv"]):
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    return try_whole(venv)


def pip_for(venv: Path) -> list[str]:
    """The environment's own pip, otherwise the one of the Python that created it."""
    python = str(venv / "bin" / "python")
    if any(venv.glob("lib/python3*/site-packages/pip/__main__.py")):
        return [python, "-m", "pip"]
    return [base_python(venv), "-m", "pip", "--python", python]


def base_python(venv: Path) -> str:
    for line in (venv / "pyvenv.cfg").read_text().splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "executable":
            return value.strip()
    return sys.executable


def succeeds(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


# Installing


def install(venv: Path, packages: str) -> None:
    started = time.monotonic()
    lock = lock_file(packages)
    total = sum("==" in line for line in lock.read_text().splitlines())
    print_line(f"installing {lock.relative_to(CHECKOUT)}, some {total} packages")
    unfinished_file(venv).touch()
    if not install_with_uv(venv, lock):
        run_pip([*pip_install(venv), "--progress-bar=off", "--requirement", str(lock)], total)
    put_on_path(venv)
    for included in SETS[: SETS.index(packages) + 1] if packages in SETS else (packages,):
        stamp_file(venv, included).write_text(stamp_of(included))
    unfinished_file(venv).unlink()
    print_line(f"installed in {time.monotonic() - started:.0f} s")


def pip_install(venv: Path) -> list[str]:
    return [*pip_for(venv), "install", "--disable-pip-version-check", "--no-input", "--require-hashes"]


def install_with_uv(venv: Path, lock: Path) -> bool:
    """Returns whether it could: it takes a fifth of pip's time, and what it cannot do is left to pip."""
    if has_own_index(venv):
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = ["--target", folder, "--only-binary=:all:", "--requirement", str(lock_file(INSTALLER))]
        if not succeeds(*pip_install(venv), *source):
            return False
        command = [f"{folder}/bin/uv", "pip", "install", "--python", str(venv / "bin" / "python")]
        command += ["--system-certs", "--require-hashes", "--requirement", str(lock)]
        # on a terminal it shows what it does, elsewhere pip says more of what is wrong
        errors = None if sys.stderr.isatty() else subprocess.DEVNULL
        return subprocess.run(command, stdin=subprocess.DEVNULL, stderr=errors, check=False).returncode == 0


def has_own_index(venv: Path) -> bool:
    listed = subprocess.run(
        [*pip_for(venv), "config", "list"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    names = [line.partition("=")[0].rpartition(".")[2] for line in listed.stdout.splitlines()]
    return listed.returncode != 0 or any(word in name for word in ABOUT_SOURCES for name in names)


def run_pip(command: list[str], total: int) -> None:
    """Counts pip's packages on a terminal; prints its whole output if it fails."""
    printed: list[str] = []
    seen = 0
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            printed.append(line)
            seen += line.startswith(("Collecting", "Requirement already"))
            if sys.stderr.isatty():
                doing = f"unpacking {total}" if line.startswith("Installing collected") else f"{seen} of {total}"
                print(f"\r\033[Kbasewarden: {doing} packages", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if pip.returncode != 0:
        sys.stderr.writelines(printed[-30:])
        raise SetupError("pip could not install the locked packages; see its output above.")


def put_on_path(venv: Path) -> None:
    site_packages = next(venv.glob("lib/python3*/site-packages"))
    (site_packages / "basewarden-checkout.pth").write_text(f"{CHECKOUT / 'src'}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or {"-h", "--help"} & set(sys.argv):
        print((__doc__ or "").strip())
        sys.exit(0 if {"-h", "--help"} & set(sys.argv) else 2)
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except SetupError as error:
        print_line(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
