"""`--help` says what it has to say and sets nothing up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from basewarden.commands import is_private_deployment, make_origin

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "usage: basewarden [-h]"),
        (["demo", "--help"], "usage: basewarden demo"),
        (["rest", "-h"], "PostgREST's configuration file"),
        (["audit", "verify", "--help"], "usage: basewarden audit verify"),
        (["test", "--help"], "usage: basewarden test"),
    ],
)
def test_help_installs_nothing(tmp_path: Path, arguments: list[str], says: str) -> None:
    """With no more than Python: no environment, and none of the packages."""
    path = f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}/usr/bin:/bin"
    answer = subprocess.run(
        [CHECKOUT / "basewarden", *arguments],
        env={"PATH": path, "BASEWARDEN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert says in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_setup_script_says_what_it_takes(tmp_path: Path) -> None:
    script = CHECKOUT / "scripts" / "environment.py"
    answer = subprocess.run(
        [sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "environment.py <venv> run|demo|dev|node" in answer.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("::1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),  # noqa: S104 - nothing is bound here
        ("192.0.2.7", "http://192.0.2.7:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
        ("basewarden.example.com", "http://basewarden.example.com:8000"),
    ],
)
def test_this_machine_is_called_by_its_name(host: str, origin: str) -> None:
    """Only by a name does a browser make passkeys for it."""
    assert make_origin(host, 8000) == origin


@pytest.mark.parametrize(
    ("host", "environment", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"BASEWARDEN_DATA_DIR": "/srv/basewarden"}, True),
        ("0.0.0.0", {}, False),  # noqa: S104 - nothing is bound here
        ("192.0.2.7", {}, False),
        ("127.0.0.1", {"BASEWARDEN_ORIGIN": "https://app.example.com"}, False),
        ("127.0.0.1", {"DATABASE_URL": "postgresql://db.example.com/basewarden"}, False),
        ("127.0.0.1", {"BASEWARDEN_TRUSTED_PROXIES": "127.0.0.1"}, False),
        ("127.0.0.1", {"BASEWARDEN_ALLOW_PRIVATE_ADDRESSES": "0"}, False),
    ],
)
def test_private_databases_are_allowed_where_only_this_machine_asks(
    host: str, environment: dict[str, str], *, expected: bool
) -> None:
    assert is_private_deployment(host, environment) is expected
