"""Emails are rendered from their feature's templates: escaped where it is HTML, as they stand where it is text."""

import re
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


def test_a_missing_fact_and_a_missing_subject_are_errors() -> None:
    with pytest.raises(UndefinedError):
        render_email("test/hello", name="Ada")
    with pytest.raises(ValueError, match="subject"):
        render_email("test/headless")


def test_the_layout_fetches_nothing_and_does_not_track() -> None:
    _, _, html = render_email("test/hello", name="Ada", link="https://x.example/")
    assert "<img" not in html
    assert " src=" not in html
    assert html.count("http") == 1


def test_the_layout_is_readable_in_the_dark_and_without_a_style_sheet() -> None:
    _, _, html = render_email("test/hello", name="Ada", link="https://x.example/")
    assert '<meta name="color-scheme" content="light dark">' in html
    (dark,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{\n(.*?)\n\}\n</style>", html, re.DOTALL)
    named = set(re.findall(r"\.([a-z]+)", re.sub(r"\{[^}]*\}", "", dark)))
    parts = (SOURCE / "mail/templates/parts.html").read_text()
    assert named == set(re.findall(r'class="([a-z]+)"', html + parts))
    body = html.partition("<body")[2]
    assert re.findall(r"<(?:td|h1|div)(?![^>]*style=)[^>]*>", body) == []
    assert "<script" not in html


def test_the_button_shows_where_it_leads() -> None:
    url = "https://x.example/reset/<b>?a=1&b=2"
    environment = emails._make_environment()
    parts = (SOURCE / "mail/templates/parts.html").read_text()
    html = environment.from_string(parts + "{{ press(text, url) }}{{ facts([(text, url)]) }}").render(
        text="<i>", url=url
    )
    assert 'href="https://x.example/reset/&lt;b&gt;?a=1&amp;b=2"' in html
    assert html.count("https://x.example/reset/&lt;b&gt;?a=1&amp;b=2") == 3
    assert "<i>" not in html


LINK = re.compile(r"\{\{ (?:link|origin) \}\}[^\s<\")]*")


def list_links(text: str) -> set[str]:
    """The links of a template, whichever way they are written."""
    as_text = re.sub(r'press\("[^"]*", (\w+)(?: ~ (?:"([^"]*)"|(\w+)))?\)', _write_link, text)
    return {link.rstrip(".,:") for link in LINK.findall(as_text.replace("{{ {{", "{{").replace("}} }}", "}}"))}


def _write_link(found: re.Match[str]) -> str:
    start, path, name = found.groups()
    return "{{ " + start + " }}" + (path or "") + ("{{ " + name + " }}" if name else "")


def test_both_parts_of_an_email_have_the_same_links() -> None:
    compared = 0
    for text in sorted(SOURCE.glob("*/templates/emails/*.txt")):
        html = text.with_suffix(".html")
        assert list_links(html.read_text()) == list_links(text.read_text()), text.name
        compared += len(list_links(text.read_text()))
    assert compared > 20


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
