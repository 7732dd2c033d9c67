"""Code is coloured without a change of its text, and whatever is in it stays text."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basewarden.web import highlight

LANGUAGES = ("curl", "ini", "js", "json", "python", "sh", "sql", "unknown")
TAG = re.compile(r'<span class="code-(?:comment|keyword|name|number|string)">|</span>')


@pytest.mark.parametrize("language", LANGUAGES)
@given(code=st.text(max_size=200))
def test_the_text_stays_what_it_was_but_for_line_ends(language: str, code: str) -> None:
    marked = TAG.sub("", str(highlight(code, language)))
    assert "<" not in marked
    assert ">" not in marked
    plain = re.sub(r"\r\n?", "\n", code) if language != "unknown" else code
    assert html.unescape(marked) == html.unescape(str(html.escape(plain))).removeprefix("\ufeff")


@pytest.mark.parametrize("language", LANGUAGES)
def test_markup_in_code_is_text(language: str) -> None:
    for code in ("</code><script>alert(1)</script>", '"</span><img src=x onerror=alert(1)>"', "# <b>", "// <b> &amp;"):
        marked = str(highlight(code, language))
        assert "<" not in TAG.sub("", marked)
        assert html.unescape(TAG.sub("", marked)) == code


def test_what_is_coloured() -> None:
    assert highlight('const n = "a" // b', "js") == (
        '<span class="code-keyword">const</span> n = <span class="code-string">&#34;a&#34;</span> '
        '<span class="code-comment">// b</span>'
    )
    assert highlight('{"a": 1}', "json") == (
        '{<span class="code-name">&#34;a&#34;</span>: <span class="code-number">1</span>}'
    )
