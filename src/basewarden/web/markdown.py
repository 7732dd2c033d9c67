"""Renders one Markdown file: blocks of HTML, code to highlight, a list of headings, and text to search.

The files are ours; still, the renderer escapes any HTML in them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from basewarden.web.highlight import highlight

_FIGURE: Final = re.compile(r"^<!-- figure: (\w+) -->$", re.MULTILINE)
"""Where a page shows a figure, of which the text's other readers see nothing."""
_FIGURE_INFO: Final = "figure"
_COMMENT: Final = re.compile(r"^<!--.*-->\n?", re.MULTILINE)
_NUMBER: Final = re.compile(r"^\d+\.\s+")
_NOT_IN_SLUG: Final = re.compile(r"[^\w\- ]")
_LANGUAGES: Final[Mapping[str, str]] = {
    "curl": "curl",
    "js": "JavaScript",
    "json": "JSON",
    "python": "Python",
    "sh": "Shell",
    "sql": "SQL",
}
_NOTHING: Final = Markup()
_NO_VALUE: Final = "\u2013"
_OUTSIDE: Final = ("http://", "https://", "mailto:")


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    slug: str
    text: str


@dataclass(frozen=True, slots=True)
class CodeSample:
    """Code in one language; `html` is the same text highlighted."""

    language: str
    label: str
    html: Markup


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """HTML, or code: one sample, or the same sample in several languages; or the name of a figure."""

    html: Markup = _NOTHING
    samples: tuple[CodeSample, ...] = ()
    figure: str = ""


@dataclass(frozen=True, slots=True)
class TextSection:
    """The text below one heading, or of one row of a table, for the search; `slug` is empty above the first heading.

    Each paragraph, row and block of code is a line of `text`. The title of a row is its name, and `within` the heading
    above it.
    """

    slug: str
    title: str
    text: str
    within: str = ""
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    title: Markup
    blocks: tuple[RenderedBlock, ...]
    headings: tuple[Heading, ...]
    sections: tuple[TextSection, ...]


def render_markdown(text: str, folder: PurePosixPath, links: Mapping[str, str]) -> Rendering:
    """`folder` is the file's place below `docs/`; `links` are the paths of the other files' pages."""
    text = _FIGURE.sub(rf"```{_FIGURE_INFO}\n\1\n```", text)
    tokens = _PARSER.parse(_COMMENT.sub("", text))
    slugs: dict[str, int] = {}
    headings = tuple(_name_headings(tokens, slugs))
    for token in _walk(tokens):
        if token.type == "link_open":
            _point_link(token, folder, links)
    _name_tables(tokens)
    _name_rows(tokens, slugs)
    title, rest = _split_title(tokens)
    return Rendering(title, tuple(_list_blocks(rest)), headings, tuple(_list_sections(tokens)))


def make_slug(text: str) -> str:
    """The anchor that GitHub gives a heading, but without a leading number."""
    return _NOT_IN_SLUG.sub("", _NUMBER.sub("", text).lower()).strip().replace(" ", "-")


def _name_headings(tokens: Sequence[Token], slugs: dict[str, int]) -> Iterator[Heading]:
    """Gives each heading below the title its anchor."""
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag != "h1":
            text = _read_text(tokens[at + 1])
            slug = _make_unique(make_slug(text), slugs)
            token.attrSet("id", slug)
            yield Heading(int(token.tag[1]), slug, text)


def _make_unique(slug: str, slugs: dict[str, int]) -> str:
    """A repeated anchor gets a number."""
    slugs[slug] = slugs.get(slug, 0) + 1
    return slug if slugs[slug] == 1 else f"{slug}-{slugs[slug] - 1}"


def _point_link(token: Token, folder: PurePosixPath, links: Mapping[str, str]) -> None:
    """Links to another file lead to its page; a link to a file without a page becomes text."""
    target = str(token.attrGet("href") or "")
    if target.startswith((*_OUTSIDE, "#", "/")):
        return
    path, _, anchor = target.partition("#")
    page = links.get(normpath(str(folder / path)))
    token.attrs = {"href": f"{page}{'#' if anchor else ''}{anchor}"} if page else {}


def _name_tables(tokens: Sequence[Token]) -> None:
    """A table that scrolls needs a name; an empty cell is no heading."""
    name = "Table"
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            name = _read_text(tokens[at + 1])
        elif token.type == "table_open":
            token.meta = {"name": name}
        elif token.type == "th_open" and not tokens[at + 1].content:
            token.tag = tokens[at + 2].tag = "td"


def _name_rows(tokens: Sequence[Token], slugs: dict[str, int]) -> None:
    """A row with code in one of its first two cells, such as a setting or an error, can be linked to by that name."""
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            cells = [one for one in tokens[at + 1 : at + 6] if one.type == "inline"]
            names = [child.content for cell in cells for child in cell.children or () if child.type == "code_inline"]
            if names:
                slug = _make_unique(make_slug(names[0]), slugs)
                token.attrSet("id", slug)
                token.meta = {"name": names[0]}
                _link_name(cells, slug)


def _link_name(cells: Sequence[Token], slug: str) -> None:
    """The name in a row leads to the row, so that its address can be copied; code in a link stays in that link."""
    for child in (child for cell in cells for child in cell.children or ()):
        if child.type == "link_open":
            return
        if child.type == "code_inline":
            child.meta = {"slug": slug}
            return


def _split_title(tokens: Sequence[Token]) -> tuple[Markup, Sequence[Token]]:
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return _render(tokens[1:2]), tokens[3:]
    return Markup(), tokens


def _list_blocks(tokens: Sequence[Token]) -> Iterator[RenderedBlock]:
    """Code between other blocks is one sample that can be copied; adjacent blocks of code are alternatives."""
    html: list[Token] = []
    samples: list[CodeSample] = []
    for token in tokens:
        is_code = token.level == 0 and token.type in ("fence", "code_block")
        if samples and not is_code:
            yield RenderedBlock(samples=tuple(samples))
            samples = []
        if is_code and html:
            yield RenderedBlock(html=_render(html))
            html = []
        if is_code and token.info == _FIGURE_INFO:
            yield RenderedBlock(figure=token.content.strip())
        elif is_code:
            samples.append(_make_sample(token))
        else:
            html.append(token)
    if html:
        yield RenderedBlock(html=_render(html))
    if samples:
        yield RenderedBlock(samples=tuple(samples))


def _make_sample(token: Token) -> CodeSample:
    code = token.content.rstrip("\n")
    language = token.info.strip() or ("json" if code.startswith("{") else "sh")
    return CodeSample(language, _LANGUAGES.get(language, language), highlight(code, language))


def _list_sections(tokens: Sequence[Token]) -> Iterator[TextSection]:
    """A row with an id is a section of its own, and not part of the one around it."""
    section, lines = TextSection("", "", ""), list[str]()
    heads, cells, first = list[str](), list[str](), 0
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            yield _fill(section, lines)
            section, lines = TextSection(str(token.attrGet("id") or ""), _read_title(tokens[at + 1]), ""), []
        elif token.type == "tr_open":
            first, cells = at, []
        elif token.type == "thead_close":
            heads = cells
        elif token.type == "tr_close" and tokens[first].attrGet("id"):
            name = tokens[first].meta["name"]
            text = _describe_row(heads, cells, name)
            yield TextSection(str(tokens[first].attrGet("id")), name, text, within=section.title, is_name=True)
        elif token.type == "tr_close" and tokens[first - 1].type != "thead_open":
            lines.append(_describe_row(heads, cells))
        elif token.type in ("fence", "code_block") and token.info != _FIGURE_INFO:
            lines.append(token.content)
        elif token.type == "inline" and tokens[at - 1].type in ("td_open", "th_open"):
            cells.append(_flatten(_read_text(token)))
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            lines.append(_read_text(token))
    yield _fill(section, lines)


def _describe_row(heads: Sequence[str], cells: Sequence[str], name: str = "") -> str:
    """Returns the cells as one line, those after the first with the head of their column; a name is left out."""
    named = zip_longest(["", *heads[1:]], cells, fillvalue="")
    return " · ".join(f"{head}: {cell}" if head else cell for head, cell in named if cell not in ("", _NO_VALUE, name))


def _read_title(token: Token) -> str:
    return _NUMBER.sub("", _read_text(token))


def _fill(section: TextSection, lines: Sequence[str]) -> TextSection:
    return replace(section, text="\n".join(flat for line in lines if (flat := _flatten(line))))


def _flatten(text: str) -> str:
    return " ".join(text.split())


def _read_text(token: Token) -> str:
    """Returns the visible text of a line, without markup and addresses."""
    return "".join(" " if child.type in ("softbreak", "hardbreak") else child.content for child in token.children or ())


def _walk(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _render(tokens: Sequence[Token]) -> Markup:
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {}))  # noqa: S704 -- the renderer escapes all text


def _open_heading(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    slug = tokens[at].attrGet("id")
    return Markup('<{} id="{}"><a class="heading-link" href="#{}">').format(tokens[at].tag, slug, slug)


def _close_heading(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return Markup("</a></{}>\n").format(tokens[at].tag)


def _show_code(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    code = Markup("<code>{}</code>").format(tokens[at].content)
    slug = tokens[at].meta.get("slug")
    return Markup('<a class="heading-link" href="#{}">{}</a>').format(slug, code) if slug else code


def _open_table(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    name = tokens[at].meta["name"]
    return Markup('<div class="prose-table" role="group" tabindex="0" aria-label="{}"><table>\n').format(name)


def _close_table(_tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
    return "</table></div>\n"


def _open_link(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    href = tokens[at].attrGet("href")
    return Markup('<a href="{}">').format(href) if href else "<span>"


def _close_link(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    opening = next(one for one in reversed(tokens[:at]) if one.type == "link_open" and one.level == tokens[at].level)
    return "</a>" if opening.attrGet("href") else "</span>"


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    rules: dict[str, Any] = parser.renderer.rules  # type: ignore[attr-defined]  # a protocol that leaves it out
    rules.update(
        heading_open=_open_heading,
        heading_close=_close_heading,
        code_inline=_show_code,
        table_open=_open_table,
        table_close=_close_table,
        link_open=_open_link,
        link_close=_close_link,
    )
    return parser


_PARSER: Final = _make_parser()
