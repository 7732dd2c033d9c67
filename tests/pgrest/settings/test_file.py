"""PostgREST's configuration format, and what is wrong with a file that is not of it."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgrest.settings.errors import BadSettings
from pgrest.settings.file import read_file

ENVIRON = {"HOME_OF": "here", "EMPTY": ""}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "rest.conf"


def read(conf: Path, text: str) -> Any:
    conf.write_text(text, encoding="utf-8")
    return read_file(conf, ENVIRON)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("\n  # nothing\n\n", {}),
        ('a = "b"', {"a": "b"}),
        ('a="b"\r\nc = 1\r\n', {"a": "b", "c": Decimal(1)}),
        ('a\n = \n  "b"  # why\nc = true', {"a": "b", "c": True}),
        ("a = on\nb = off\nc = false", {"a": True, "b": False, "c": False}),
        ("a = 1.5\nb = 1e3\nc = 0660", {"a": Decimal("1.5"), "b": Decimal("1e3"), "c": Decimal(660)}),
        ('a = "x # y = z"', {"a": "x # y = z"}),
        ('a = "one\ntwo"', {"a": "one\ntwo"}),
        (r'a = "q\"b\\n\n\t\r\u00e4\ud83d\ude00"', {"a": 'q"b\\n\n\t\rä😀'}),
        ('a = "تست"', {"a": "تست"}),
        ('a = "b"\na = "c"', {"a": "c"}),
        ('a = [ "x", 1,\n true, [] ]', {"a": ["x", Decimal(1), True, []]}),
        ('app.settings.key = "v"', {"app.settings.key": "v"}),
        ('app { settings { key = "v"\n b = 1 } }\nc = 2', {"app.settings.key": "v", "app.settings.b": 1, "c": 2}),
        ('#; a = "b"\nc = 1', {"c": Decimal(1)}),
        ('#; g { a = "b"\n c = 2 }\nd = 3', {"d": Decimal(3)}),
        ('a = "$(HOME_OF)/$$5"', {"a": "here/$5"}),
        ('a = "x"\nb = "$(a)$(EMPTY)y"', {"a": "x", "b": "xy"}),
        ('p = 5\ng { p = 6\n h { q = "$(p)" } }\nr = "$(p)"', {"p": 5, "g.p": 6, "g.h.q": "6", "r": "5"}),
    ],
)
def test_what_a_file_says(conf: Path, text: str, values: dict[str, Any]) -> None:
    assert read(conf, text) == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("db-uri", 1),
        ("= 5", 1),
        ("a = 1\n\nb = postgres://x", 3),
        ("a = 1\nb = 'secret-word'", 2),
        ("a = 1 b = 2", 1),
        ('a = "x" "y"', 1),
        ("a = on-off", 1),
        ('a = "secret-word', 1),
        (r'a = "\x"', 1),
        (r'a = "\ud800"', 1),
        (r'a = "\u12"', 1),
        ("a = [1, 2", 1),
        ("a = [1 2]", 1),
        ("a = " + "[" * 100, 1),
        ("g { a = 1", 1),
        ("g { a = 1 } }", 1),
        ('a = 1\nb = "cost $5"', 2),
        ('a = "$(UNKNOWN_THING)"', 1),
        ('import "nowhere.conf"', None),
        ("import 5", 1),
        ("#;", 1),
        ("g { " * 50, 1),
        ("1a = 2", 1),
        ("a..b = 2", 1),
    ],
)
def test_what_is_no_file_of_settings(conf: Path, text: str, line: int | None) -> None:
    with pytest.raises(BadSettings) as raised:
        read(conf, text)
    assert "secret-word" not in str(raised.value)
    if line is not None:
        assert str(raised.value).startswith(f"line {line} of {conf} ")


def test_a_file_may_import_another_beside_it(conf: Path) -> None:
    (conf.parent / "more.conf").write_text('b = "$(a)"\n')
    assert read(conf, 'a = "x"\nimport "more.conf"\ng { import "more.conf" }') == {"a": "x", "b": "x", "g.b": "x"}


def test_a_file_cannot_import_itself_for_ever(conf: Path) -> None:
    with pytest.raises(BadSettings, match="imports itself"):
        read(conf, 'import "rest.conf"')


def test_a_file_that_cannot_be_read_is_named(conf: Path) -> None:
    with pytest.raises(BadSettings, match=r"rest\.conf cannot be read: No such file"):
        read_file(conf, {})
    conf.write_bytes(b'a = "\xff"')
    with pytest.raises(BadSettings, match="not UTF-8"):
        read_file(conf, {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet='ab =."\\$(){}[]#;,\n1\tué', max_size=60))
def test_no_text_is_anything_but_read_or_refused(conf: Path, text: str) -> None:
    with suppress(BadSettings):
        read(conf, text)
