"""Emails are rendered from their feature's templates: escaped where it is HTML, as they stand where it is text."""

from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, UndefinedError

import basewarden
from basewarden.mail import emails, render_email
from basewarden.mail.emails import shorten

SOURCE = Path(basewarden.__file__).parent
TEMPLATES = {
    "test/hello.txt": "Subject: Hello {{ name | line }}\n\nHello {{ name | line }}, open {{ link }}\n",
    "test/hello.html": '{% extends "mail/email.html" %}{% block body %}<p>Hello {{ name }}, '
    '<a href="{{ link }}">open</a></p>{% endblock %}',
    "test/headless.txt": "Hello\n",
    "test/headless.html": "",
}


@pytest.fixture(autouse=True)
def _templates(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: Environment = emails._make_environment.__wrapped__()
    base = (SOURCE / "mail/templates/email.html").read_text()
    environment.loader = DictLoader({**TEMPLATES, "mail/email.html": base})
    monkeypatch.setattr(emails, "_make_environment", lambda: environment)


def test_an_email_has_three_parts() -> None:
    subject, text, html = render_email("test/hello", name="Zoë & <b>Co</b>", link="https://x.example/?a=1&b=2")
    assert subject == "Hello Zoë & <b>Co</b>"
    assert text == "Hello Zoë & <b>Co</b>, open https://x.example/?a=1&b=2\n"
    assert "Zoë &amp; &lt;b&gt;Co&lt;/b&gt;" in html
    assert 'href="https://x.example/?a=1&amp;b=2"' in html
    assert "<title>Hello Zoë &amp; &lt;b&gt;Co&lt;/b&gt;</title>" in html


def test_a_name_cannot_become_an_email() -> None:
    name = "Ada\n\nYour account is locked, go to https://evil.example/" + "x" * 1_000_000
    subject, text, _ = render_email("test/hello", name=name, link="https://x.example/")
    assert subject.startswith("Hello Ada Your account")
    assert "\n" not in subject
    assert text.count("\n") == 1
    assert len(text) < 200


def test_a_missing_fact_and_a_missing_subject_are_told() -> None:
    with pytest.raises(UndefinedError):
        render_email("test/hello", name="Ada")
    with pytest.raises(ValueError, match="subject"):
        render_email("test/headless")


def test_the_layout_fetches_nothing_and_tells_nobody() -> None:
    _, _, html = render_email("test/hello", name="Ada", link="https://x.example/")
    assert "<img" not in html
    assert " src=" not in html
    assert html.count("http") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ada", "Ada"),
        (" A\r\n\tB\x00C\u2028D ", "A B C D"),
        ("a\ud800b", "a b"),
        ("x" * 99, "x" * 79 + "…"),
        ("", ""),
    ],
)
def test_a_line_is_one_line(text: str, line: str) -> None:
    assert shorten(text) == line


def test_every_email_of_ours_has_a_text_with_a_subject_and_html() -> None:
    """What is only included begins otherwise, and extends nothing."""
    parts = {path: path.read_text() for path in sorted(SOURCE.glob("*/templates/emails/*"))}
    texts = {path.with_suffix("") for path, part in parts.items() if part.startswith("Subject: ")}
    htmls = {path.with_suffix("") for path, part in parts.items() if '{% extends "mail/email.html" %}' in part}
    assert texts == htmls
    assert texts
