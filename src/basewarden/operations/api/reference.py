"""Reads the OpenAPI document into the model of the page and of `docs/api.md`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from basewarden.operations.api.requests import RequestExample, make_examples
from basewarden.web import CallerKind, list_operations

_JSON = "application/json"
_STREAM = "text/event-stream"
_REFERENCE = "#/components/schemas/"
_CODE = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)
_COMPLETION = re.compile(r"[,;:.]| without | with its | that you are ")
_VERB = re.compile(r"^(\w+?)(ies|s)\b")
_OTHER_VERB = re.compile(r" or (\w+?)(ies|s)\b")
_ARTICLE = re.compile(r"^(\w+(?: or \w+)?) (?:the|an?|your) ")
_DEEPEST = 2
_FIRST_ERROR = 400
COMMON: Final = (
    (400, "bad_request"),
    (400, "bad_json"),
    (401, "unauthenticated"),
    (401, "mfa_required"),
    (403, "forbidden"),
    (403, "two_factor_required"),
    (404, "not_found"),
    (413, "too_large"),
    (422, "validation_failed"),
    (503, "unavailable"),
)
"""Errors that are described only in the introduction."""

CALLERS: Final[dict[str, str]] = {
    CallerKind.ANYONE: "anyone",
    CallerKind.PERSON: "a signed-in person",
    CallerKind.MEMBER: "a member of the connection",
    CallerKind.AGENT: "an agent with its token, or a member of the connection",
    CallerKind.SCHEDULER: "a scheduler with CRON_SECRET",
    CallerKind.PROVIDER: "the payment provider, by its signature",
}
"""The last one that fits is the role that an operation requires."""

ROLES: Final[Mapping[str, str]] = {
    "viewer": "a member of the connection",
    "editor": "an editor or owner of the connection",
    "owner": "an owner of the connection",
}

GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "auth": ("Signing in", "A sign-in is a session cookie. These operations create and end it."),
    "account": ("Account", "Your own account: name, email, GitHub, your data, deletion."),
    "password": ("Passwords", "Change a password, or set a new one by a link from an email."),
    "two-factor": ("Two-factor sign-in", "Codes from an app, recovery codes, and passkeys as the second factor."),
    "passkeys": ("Passkeys", "Sign in without a password."),
    "signins": ("Sign-in sessions", "Where you are signed in, and confirming that it is you."),
    "connections": ("Connections", "Credentials go in and are never returned."),
    "agents": ("Agents", "What an agent may do, its token, pausing and freezing it."),
    "members": ("Members", "Who may open a connection, and invitations to it."),
    "data": ("A connection's schema", "Beside the tables themselves, which PostgREST's contract describes."),
    "alerts": ("Alerts", "Where messages about events go, and the messages that were sent."),
    "proposals": ("Proposals", "Writes of agents that wait for a person's approval."),
    "sentry": ("Sentry", "Scans of a project for what strangers can reach, and what they found."),
    "sentry-fixes": ("Fixes and quarantine", "Closes what the sentry found, with a way back."),
    "row-security": ("Row security", "A table's policies in words, tried as any caller."),
    "leaks": ("Leaks", "Looks for keys and passwords that strangers can read."),
    "sessions": ("Sessions and undo", "What was written through a connection, and how to undo it."),
    "billing": ("Billing", "On a deployment without billing there are no limits."),
    "operational": ("Operations", "For the operator of a deployment."),
}
"""The tags of the document, or parts of them, in the order of the page, each with its title and a sentence."""

_PARTS: Final = (
    ("/api/account/change-password", "password"),
    ("/api/account/forgot-password", "password"),
    ("/api/account/reset-password", "password"),
    ("/api/account/2fa", "two-factor"),
    ("/api/account/passkeys", "passkeys"),
    ("/api/account/sessions", "signins"),
    ("/api/account/reauth", "signins"),
    ("/api/connections/{connection_id}/agents", "agents"),
)
"""Paths that divide a tag with too many operations for one page."""


@dataclass(frozen=True, slots=True)
class ApiField:
    """A parameter, or a member of a body: `sessions[].id` is a member of an object in a list."""

    name: str
    type: str
    is_required: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class ApiError:
    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ApiOperation:
    method: str
    path: str
    summary: str
    description: str
    caller: str
    is_stable: bool
    parameters: tuple[ApiField, ...]
    body: tuple[ApiField, ...]
    status: int
    answer: tuple[ApiField, ...]
    media_type: str
    errors: tuple[ApiError, ...]
    common: tuple[str, ...]
    requests: tuple[RequestExample, ...]
    example: str
    refusal: str

    @property
    def request(self) -> str:
        """As a curl command."""
        return self.requests[0].code

    @property
    def anchor(self) -> str:
        return "-".join(re.findall(r"[a-z0-9]+", f"{self.method} {self.path}".lower()))

    @property
    def short_summary(self) -> str:
        """For a narrow list: the summary as a command, "List connections", without what only completes it."""
        text = _COMPLETION.split(self.summary.rstrip("."), maxsplit=1)[0].replace("`", "")
        text = _VERB.sub(_make_command, text.replace("Returns", "Gets", 1))
        return _ARTICLE.sub(r"\1 ", _OTHER_VERB.sub(lambda verb: f" or {_make_command(verb)}", text))

    @property
    def is_stream(self) -> bool:
        return self.media_type == _STREAM

    @property
    def phrase(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"


@dataclass(frozen=True, slots=True)
class ApiGroup:
    key: str
    title: str
    text: str
    operations: tuple[ApiOperation, ...]


def read_reference(document: Mapping[str, Any], origin: str) -> tuple[ApiGroup, ...]:
    """Groups the operations by tag; the examples send their requests to `origin`."""
    by_tag: dict[str, list[ApiOperation]] = {tag: [] for tag in GROUPS}
    for path, method, operation in list_operations(document):
        reader = _Reader(document["components"]["schemas"], origin)
        part = next((key for prefix, key in _PARTS if path.startswith(prefix)), operation["tags"][0])
        by_tag[part].append(reader.read(path, method, operation))
    return tuple(ApiGroup(tag, *GROUPS[tag], tuple(found)) for tag, found in by_tag.items() if found)


def _make_command(verb: re.Match[str]) -> str:
    return f"{verb[1]}{'y' if verb[2] == 'ies' else ''}"


def list_data_errors(errors: Iterable[Any]) -> tuple[ApiError, ...]:
    """Lists our errors of a request to a connection's data, by status and code."""
    found = {(error.status, error.code): ApiError(error.status, error.code, error.message) for error in errors}
    return tuple(found[key] for key in sorted(found))


class _Reader:
    """Reads one operation of the document."""

    def __init__(self, schemas: Mapping[str, Any], origin: str) -> None:
        self._schemas = schemas
        self._origin = origin

    def read(self, path: str, method: str, operation: Mapping[str, Any]) -> ApiOperation:
        status, answer = next((int(code), one) for code, one in operation["responses"].items() if int(code) < 400)
        errors = tuple(_list_errors(operation))
        return ApiOperation(
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            description=" ".join(operation.get("description", "").split()),
            caller=_name_caller(operation),
            is_stable=operation.get("x-stable", False),
            parameters=tuple(self._list_parameters(operation)),
            body=self._list_fields(operation.get("requestBody", {}).get("content", {}).get(_JSON, {})),
            status=status,
            answer=self._list_fields(answer.get("content", {}).get(_JSON, {})),
            media_type=next(iter(answer.get("content", ())), ""),
            errors=tuple(error for error in errors if (error.status, error.code) not in COMMON),
            common=tuple(f"{error.status} {error.code}" for error in errors if (error.status, error.code) in COMMON),
            requests=make_examples(self._origin, path, method.upper(), operation),
            example=_find_example(answer.get("content", {})),
            refusal=_find_refusal(operation),
        )

    def _list_parameters(self, operation: Mapping[str, Any]) -> Iterator[ApiField]:
        for one in operation.get("parameters", ()):
            text = _join(one.get("description", ""), f"in the {one['in']}", _list_limits(one["schema"]))
            yield ApiField(one["name"], self._name_type(one["schema"]), one["required"], text)

    def _list_fields(self, content: Mapping[str, Any]) -> tuple[ApiField, ...]:
        return tuple(self._walk(content["schema"], "", 0)) if content else ()

    def _walk(self, schema: Mapping[str, Any], prefix: str, depth: int) -> Iterator[ApiField]:
        """Lists the members of an object, each followed by the members of the objects in it."""
        whole = self._resolve(schema)
        required = whole.get("required", ())
        for name, inner in whole.get("properties", {}).items():
            known = self._resolve(inner)
            is_list = known.get("type") == "array"
            text = _join(inner.get("description", ""), _list_limits(known))
            yield ApiField(f"{prefix}{name}", self._name_type(inner), name in required, text)
            if depth < _DEEPEST:
                below = known.get("items", {}) if is_list else known
                yield from self._walk(below, f"{prefix}{name}{'[]' if is_list else ''}.", depth + 1)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Resolves a reference, also one that allows null."""
        if "anyOf" in schema:
            return self._resolve(schema["anyOf"][0])
        if "$ref" in schema:
            return self._resolve(self._schemas[schema["$ref"].removeprefix(_REFERENCE)])
        return schema

    def _name_type(self, schema: Mapping[str, Any]) -> str:
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._name_type(choice) for choice in schema["anyOf"]))
        known = self._resolve(schema)
        if "const" in known:
            return json.dumps(known["const"])
        if "enum" in known:
            return " | ".join(json.dumps(value) for value in known["enum"])
        if known.get("type") == "array":
            return f"list of {self._name_type(known.get('items', {}))}"
        named = {"uuid": "UUID", "date-time": "timestamp"}.get(known.get("format", ""))
        return named or str(known.get("type", "any"))


def _name_caller(operation: Mapping[str, Any]) -> str:
    """Returns the most specific caller: every member of a connection is a signed-in person as well."""
    if "x-role" in operation:
        return ROLES[operation["x-role"]]
    return next(text for kind, text in reversed(CALLERS.items()) if kind in operation["x-callers"])


def _list_errors(operation: Mapping[str, Any]) -> Iterator[ApiError]:
    for status, answer in operation["responses"].items():
        if int(status) >= _FIRST_ERROR:
            for code, message in _CODE.findall(answer["description"]):
                yield ApiError(int(status), code, message)


def _find_example(content: Mapping[str, Any]) -> str:
    """Returns the example of the response: JSON, or the text of an event stream."""
    if "example" in content.get(_JSON, {}):
        return _write_json(content[_JSON]["example"])
    return str(content.get(_STREAM, {}).get("example", ""))


def _find_refusal(operation: Mapping[str, Any]) -> str:
    """Returns the example of the first error whose body has more than the usual four members."""
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get(_JSON, {})
        if int(status) >= _FIRST_ERROR and len(content.get("schema", {}).get("anyOf", ())) > 1:
            return _write_json(content["example"])
    return ""


def _list_limits(schema: Mapping[str, Any]) -> str:
    known = (
        ("default", "default {}"),
        ("minimum", "at least {}"),
        ("maximum", "at most {}"),
        ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"),
        ("maxItems", "at most {} items"),
    )
    found = [text.format(json.dumps(schema[name])) for name, text in known if schema.get(name) is not None]
    return ", ".join(found)


def _join(*parts: str) -> str:
    """One line: a sentence, then the limits of the value."""
    sentence, *limits = (part.replace("\n", " ") for part in parts)
    rest = ", ".join(limit for limit in limits if limit)
    return f"{sentence} ({rest})" if sentence and rest else sentence or rest


def _write_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
