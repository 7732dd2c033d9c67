"""Setting up the environment: uv installs the locked packages, and pip where uv cannot or may not."""

import sys
from pathlib import Path

import pytest

from scripts import environment

PLACES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_PROXY")
OWN = Path(sys.prefix)


@pytest.fixture(autouse=True)
def no_settings_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of each run of pip."""
    found: list[list[str]] = []
    monkeypatch.setattr(environment, "run_pip", lambda command, _: found.append(command))
    return found


def test_pip_without_settings_has_no_index_of_its_own() -> None:
    assert not environment.has_own_index(OWN)


@pytest.mark.parametrize("name", PLACES)
def test_pip_with_another_index_installs(name: str, venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1" if name == "PIP_NO_INDEX" else "https://packages.example.com/simple")
    assert environment.has_own_index(OWN)
    monkeypatch.setattr(environment, "has_own_index", lambda _: True)
    assert not environment.install_with_uv(venv, environment.lock_file("run"))


@pytest.mark.parametrize("can_use_uv", [True, False])
def test_pip_installs_what_uv_did_not(
    can_use_uv: bool, venv: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "install_with_uv", lambda *_: can_use_uv)
    monkeypatch.setattr(environment, "pip_for", lambda _: ["pip"])
    environment.install(venv, "demo")
    lock = str(environment.lock_file("demo"))
    assert [(command[:2], "--require-hashes" in command, command[-1]) for command in commands] == (
        [] if can_use_uv else [(["pip", "install"], True, lock)]
    )
    assert not environment.unfinished_file(venv).exists()
    stamps = {packages: environment.stamp_file(venv, packages).exists() for packages in environment.SETS}
    assert stamps == {"run": True, "demo": True, "dev": False}


def test_an_interrupted_installation_is_marked(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "install_with_uv", stop)
    with pytest.raises(KeyboardInterrupt):
        environment.install(venv, "run")
    assert environment.unfinished_file(venv).exists()
    assert not environment.stamp_file(venv, "run").exists()
