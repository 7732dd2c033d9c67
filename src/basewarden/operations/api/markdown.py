"""The reference as Markdown, for readers of the repository: `docs/api.md`."""

from collections.abc import Iterator, Sequence

from basewarden.operations.api.introduction import INTRODUCTION, Chapter
from basewarden.operations.api.reference import ApiError, ApiField, ApiGroup, ApiOperation

_HEAD = """# The HTTP API

`python -m scripts.references` writes this page from the OpenAPI document. A deployment shows the same at
`/docs/api`, and has the document at `/api/openapi.json`. What each error code means is in
[reference/errors.md](reference/errors.md)."""


def write_markdown(groups: Sequence[ApiGroup], data_errors: Sequence[ApiError]) -> str:
    lines = [_HEAD, *_write_contents(groups)]
    for chapter in INTRODUCTION:
        lines += _write_chapter(chapter, data_errors)
    for group in groups:
        lines += _write_group(group)
    return "\n".join(lines) + "\n"


def _write_contents(groups: Sequence[ApiGroup]) -> Iterator[str]:
    yield "\n## Contents\n"
    yield from (f"- {chapter.title}" for chapter in INTRODUCTION)
    for group in groups:
        yield f"- {group.title}"
        yield from (f"  - [`{one.method} {one.path}`](#{_slug(one)})" for one in group.operations)


def _write_chapter(chapter: Chapter, data_errors: Sequence[ApiError]) -> Iterator[str]:
    yield f"\n## {chapter.title}\n"
    yield "\n\n".join(_escape(paragraph) for paragraph in chapter.paragraphs)
    if chapter.code:
        yield f"\n```\n{chapter.code}\n```"
    if chapter.key == "data":
        yield f"\n{_list_codes(data_errors)}."


def _write_group(group: ApiGroup) -> Iterator[str]:
    yield f"\n## {group.title}\n\n{_escape(group.text)}"
    for operation in group.operations:
        yield from _write_operation(operation)


def _write_operation(one: ApiOperation) -> Iterator[str]:
    yield f"\n### `{one.method} {one.path}`\n"
    yield _escape(" ".join(part for part in (one.summary, one.description) if part))
    yield f"\nFor {one.caller}.{' Stable.' if one.is_stable else ''}"
    for title, fields in (("Parameters", one.parameters), ("Body", one.body), (f"Answer {one.status}", one.answer)):
        if fields:
            yield f"\n{title}:\n"
            yield from _write_fields(fields)
    if not one.answer:
        yield f"\nAnswer {one.status}, {_describe_body(one)}."
    if one.errors:
        yield f"\nErrors: {_list_codes(one.errors)}."
    yield f"\n```sh\n{one.request}\n```"
    if one.example:
        yield f"\n```{'text' if one.is_stream else 'json'}\n{one.example}\n```"
    if one.refusal:
        yield f"\n```json\n{one.refusal}\n```"


def _describe_body(one: ApiOperation) -> str:
    """Describes a response whose members are not listed."""
    if one.is_stream:
        return f"a stream of events as `{one.media_type}`"
    return "as JSON" if one.example else "without a body"


def _write_fields(fields: Sequence[ApiField]) -> Iterator[str]:
    for field in fields:
        text = f": {_escape(field.text)}" if field.text else ""
        yield f"- `{field.name}` {field.type.replace('|', 'or')}{'' if field.is_required else ', optional'}{text}"


def _list_codes(errors: Sequence[ApiError]) -> str:
    return ", ".join(f"{error.status} `{error.code}`" for error in errors)


def _slug(one: ApiOperation) -> str:
    """The anchor that GitHub gives a heading."""
    kept = "".join(char for char in f"{one.method} {one.path}".lower() if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")


def _escape(text: str) -> str:
    """Escapes each <, which would begin a tag outside of code."""
    parts = text.split("`")
    return "`".join(part if at % 2 else part.replace("<", "\\<") for at, part in enumerate(parts))
