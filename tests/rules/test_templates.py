"""Pages keep to the Content-Security-Policy, and no data reaches them unescaped."""

import re
from collections.abc import Iterable

from jinja2 import nodes

from basewarden.web import Pages
from tests.rules.sources import SourceFile, read_sources

FORBIDDEN = {
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)[^>]*>", re.IGNORECASE),
    "an inline style": re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE),
    "an inline handler": re.compile(r"\son[a-z]+\s*=\s*[\"']", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "escaping switched off": re.compile(r"autoescape\s+false", re.IGNORECASE),
}
# Emails are no pages: their clients know no style sheet of ours, and no policy forbids styles there.
STYLED = re.compile(r"/mail/templates/|/templates/emails/")
# `"a literal" | safe` is the template's own HTML; anything else might be a person's data.
UNSAFE = re.compile(r"(?<![\"'\s])\s*\|\s*safe\b")
OWN_HTML = {"src/basewarden/web/templates/components/icons.html": "the paths are a table in the same file"}


def find_unsafe_markup(sources: Iterable[SourceFile]) -> list[str]:
    findings = []
    for source in sources:
        for what, pattern in FORBIDDEN.items():
            if what == "an inline style" and STYLED.search(source.path):
                continue
            findings += [source.at(line, what) for line, _ in source.lines_with(pattern)]
        if source.path not in OWN_HTML:
            findings += [source.at(line, "data marked safe") for line, _ in source.lines_with(UNSAFE)]
    return findings


def test_templates_hold_no_inline_code_and_trust_no_data() -> None:
    templates = read_sources("src", suffix=".html")
    assert len(templates) > 20
    assert find_unsafe_markup(templates) == []


def test_unsafe_markup_is_found() -> None:
    good = '<script src="/static/a.js" defer></script><p data-on="x">{{ "<b>own</b>" | safe }}{{ name }}</p>'
    bad = "<script>x()</script>\n<p style='a'>\n<a onclick='b'>\n{{ name|safe }}\n{% autoescape false %}"
    assert find_unsafe_markup([SourceFile("good.html", good)]) == []
    email = SourceFile("src/a/templates/emails/b.html", "<p style='a'>\n<script>x()</script>")
    assert find_unsafe_markup([email]) == ["src/a/templates/emails/b.html:2 an inline script"]
    assert sorted(find_unsafe_markup([SourceFile("bad.html", bad)])) == [
        "bad.html:1 an inline script",
        "bad.html:2 an inline style",
        "bad.html:3 an inline handler",
        "bad.html:4 data marked safe",
        "bad.html:5 escaping switched off",
    ]


# A function that is renamed in Python and not in a template fails only when the page is shown.
GIVEN = re.compile(r"\b(\w+)=|\"(\w+)\"")
ENVIRONMENT = Pages({}, str).environment


def find_unknown_names(templates: Iterable[SourceFile], code: Iterable[SourceFile]) -> list[str]:
    """Lists names that a template reads and that neither templates define nor any code passes by keyword or as a key."""
    trees = {source.path: ENVIRONMENT.parse(source.text) for source in templates}
    known = {name for source in code for pair in GIVEN.findall(source.text) for name in pair if name}
    known.update(ENVIRONMENT.globals, ("caller", "loop"))
    read: dict[str, set[str]] = {}
    for path, tree in trees.items():
        known.update(macro.name for macro in tree.find_all(nodes.Macro))
        for imported in tree.find_all(nodes.FromImport):
            known.update(name if isinstance(name, str) else name[1] for name in imported.names)
        names = list(tree.find_all(nodes.Name))
        known.update(name.name for name in names if name.ctx != "load")
        read[path] = {name.name for name in names if name.ctx == "load"}
    return [f"{path}: {name}" for path, names_read in read.items() for name in sorted(names_read - known)]


def test_templates_read_only_names_that_exist() -> None:
    assert find_unknown_names(read_sources("src", suffix=".html"), read_sources("src")) == []


def test_an_unknown_name_is_found() -> None:
    page = SourceFile("page.html", "{% set total = 1 %}{{ say_amount(total) }}{{ title }}{{ segments }}")
    code = SourceFile("pages.py", 'pages.render(request, "page.html", title="Plan", **{"segments": 1})')
    assert find_unknown_names([page], [code]) == ["page.html: say_amount"]


THINGS = "rows|writes|sessions|agents|connections|requests|tables|columns|conflicts|edits|codes|passkeys|members|changes|minutes|days"
BARE_PLURAL = re.compile(rf"(?:\}}\}}|[^{{}}]\{{[a-z_][\w.:,]*\}}) (?:{THINGS})\b")
ALWAYS_SEVERAL = {
    "src/basewarden/billing/service.py": "no plan allows a single connection",
    "src/basewarden/gateway/api/write.py": "an API returns hundreds of rows at a time",
    "src/basewarden/web/bodies.py": "the limit is in the thousands",
}
ON_A_TERMINAL = ("src/basewarden/commands.py", "src/basewarden/demo/", "src/basewarden/operations/upkeep/")


def find_bare_plurals(sources: Iterable[SourceFile]) -> list[str]:
    """A number with a plural behind it says "1 rows" for one: `plural` of the templates and `count_things` do not."""
    return [
        source.at(line, found)
        for source in sources
        if source.path not in ALWAYS_SEVERAL and not source.path.startswith(ON_A_TERMINAL)
        for line, found in source.lines_with(BARE_PLURAL)
    ]


def test_one_thing_is_never_called_several() -> None:
    pages = [*read_sources("src/basewarden", suffix=".html"), *read_sources("src/basewarden")]
    assert len(pages) > 200
    assert find_bare_plurals(pages) == []


def test_a_bare_plural_is_found() -> None:
    bad = SourceFile("bad.html", "<p>{{ count }} rows</p>\n{{ count | plural('row') }} changed")
    code = SourceFile("bad.py", 'f"At most {limit:,} writes"\nf"{name} has tables"')
    assert find_bare_plurals([bad, code]) == ["bad.html:1 }} rows", "bad.py:1  {limit:,} writes"]
