"""The same as Markdown, for whoever reads the repository: `docs/api.md`."""

from collections.abc import Iterator, Sequence

from basewarden.operations.api.entries import COMMON, Answer, Endpoint, Group

_HEAD = """# The HTTP API

`scripts/api.py` writes this page from `src/basewarden/operations/api/`; `/docs/api` of a deployment shows the same, and
`/api/openapi.json` has it for programs. What is marked stable changes only with a major version.

Every error is `{"code", "message", "details", "hint"}`, with the request's id in the header `x-request-id`. These may
come from anywhere and are not repeated below:
"""


def write_markdown(groups: Sequence[Group]) -> str:
    return (
        "\n".join([_HEAD, *_list_answers(COMMON), *(line for group in groups for line in _write_group(group))]) + "\n"
    )


def _write_group(group: Group) -> Iterator[str]:
    yield f"\n## {group.title}\n\n{_escape(group.words)}"
    for endpoint in group.endpoints:
        yield from _write_endpoint(endpoint)


def _write_endpoint(endpoint: Endpoint) -> Iterator[str]:
    method = "" if endpoint.method == "ANY" else f"{endpoint.method} "
    yield f"\n### `{method}{endpoint.path}`{' (stable)' if endpoint.is_stable else ''}\n"
    yield f"{_escape(endpoint.words)} For {endpoint.who}.\n"
    if endpoint.body:
        yield f"- body: {_list_names(endpoint.body)}"
    if endpoint.query:
        yield f"- query: {_list_names(endpoint.query)}"
    yield from _list_answers(endpoint.answers)


def _list_answers(answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        named = f" `{answer.code}`" if answer.code else ""
        parts = [_list_names(answer.fields)] if answer.fields else []
        parts += [_escape(answer.words)] if answer.words else []
        yield f"- {answer.status}{named}{': ' if parts else ''}{'; '.join(parts)}"


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _escape(words: str) -> str:
    return words.replace("<", "\\<")
