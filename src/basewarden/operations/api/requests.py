"""An example request of each operation: as a curl command, in Python and in JavaScript."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from textwrap import indent
from typing import Any, Final

from basewarden.web import CallerKind

_COOKIE = "--cookie 'authjs.session-token=…'"
_AGENT = "-H 'Authorization: Bearer bw_…'"
CREDENTIALS: Final[dict[str, tuple[str, ...]]] = {
    CallerKind.PERSON: (_COOKIE,),
    CallerKind.MEMBER: (_COOKIE,),
    CallerKind.AGENT: (_AGENT,),
    CallerKind.SCHEDULER: ("-H 'Authorization: Bearer '\"$CRON_SECRET\"",),
    CallerKind.PROVIDER: (
        "-H 'webhook-id: msg_2f6d0c5e8a31'",
        "-H 'webhook-timestamp: 1795788131'",
        "-H 'webhook-signature: v1,…'",
    ),
}


_SCHEDULER = "$CRON_SECRET"
"""Values that the shell inserts; the other languages read them from the environment."""
_HEADER = re.compile(r"-H '([^:]+): ([^']*)'")
_COOKIES = re.compile(r"--cookie '([^=]+)=([^']*)'")


@dataclass(frozen=True, slots=True)
class RequestExample:
    """One request in one language."""

    language: str
    label: str
    code: str


@dataclass(frozen=True, slots=True)
class _ExampleRequest:
    """The parts that the examples of one operation share."""

    method: str
    address: str
    credentials: tuple[str, ...]
    body: Any

    @property
    def cookies(self) -> dict[str, str]:
        return dict(pair for line in self.credentials for pair in _COOKIES.findall(line))

    @property
    def headers(self) -> dict[str, str]:
        found = dict(pair for line in self.credentials for pair in _HEADER.findall(line))
        return {name: value + _SCHEDULER if value == "Bearer " else value for name, value in found.items()}


def make_examples(
    origin: str, path: str, method: str, operation: Mapping[str, Any]
) -> tuple[RequestExample, RequestExample, RequestExample]:
    request = _read_request(origin, path, method, operation)
    return (
        RequestExample("curl", "curl", _write_curl(request)),
        RequestExample("python", "Python", _write_python(request)),
        RequestExample("js", "JavaScript", _write_javascript(request)),
    )


def _read_request(origin: str, path: str, method: str, operation: Mapping[str, Any]) -> _ExampleRequest:
    parameters = operation.get("parameters", ())
    examples = {one["name"]: str(one["example"]) for one in parameters if one["in"] == "path"}
    address = origin + re.sub(r"{(\w+)}", lambda match: examples[match[1]], path)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    return _ExampleRequest(method, address, _list_credentials(operation), body)


def _write_curl(request: _ExampleRequest) -> str:
    """The command over several lines: address, credential, body."""
    method = "" if request.method == "GET" else f"-X {request.method} "
    lines = [f"curl {method}{shlex.quote(request.address)}", *request.credentials]
    if request.body is not None:
        text = json.dumps(request.body, indent=2, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


def _write_python(request: _ExampleRequest) -> str:
    """With the library `requests`."""
    arguments = [json.dumps(request.address)]
    if request.cookies:
        arguments.append(f"cookies={_write_mapping(request.cookies)}")
    if request.headers:
        pairs = (f'"{name}": {_write_python_text(value)}' for name, value in request.headers.items())
        arguments.append(f"headers={{{', '.join(pairs)}}}")
    if request.body is not None:
        text = pformat(request.body, sort_dicts=False, width=64)
        arguments.append(f"json={indent(text, ' ' * 9).lstrip()}")
    listed = "".join(f"    {argument},\n" for argument in arguments)
    needs = "import os\n\n" if any(_SCHEDULER in value for value in request.headers.values()) else ""
    call = f"response = requests.{request.method.lower()}(\n{listed})"
    return f"{needs}import requests\n\n{call}\nprint(response.status_code, response.text)"


def _write_python_text(value: str) -> str:
    if _SCHEDULER in value:
        return f"""f"{value.replace(_SCHEDULER, "{os.environ['CRON_SECRET']}")}\""""
    return json.dumps(value, ensure_ascii=False)


def _write_javascript(request: _ExampleRequest) -> str:
    headers = dict(request.headers)
    if request.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in request.cookies.items())
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    lines = [f'  method: "{request.method}",\n'] if request.method != "GET" else []
    if headers:
        listed = "".join(f"    {_write_key(name)}: {_write_text(value)},\n" for name, value in headers.items())
        lines.append(f"  headers: {{\n{listed}  }},\n")
    if request.body is not None:
        text = indent(json.dumps(request.body, indent=2, ensure_ascii=False), "  ").lstrip()
        lines.append(f"  body: JSON.stringify({text}),\n")
    options = f", {{\n{''.join(lines)}}}" if lines else ""
    call = f"const response = await fetch({json.dumps(request.address)}{options})"
    return f"{call}\nconsole.log(response.status, await response.text())"


def _write_key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _write_text(value: str) -> str:
    if _SCHEDULER in value:
        return f"`{value.replace(_SCHEDULER, '${process.env.CRON_SECRET}')}`"
    return json.dumps(value, ensure_ascii=False)


def _write_mapping(values: Mapping[str, str]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _list_credentials(operation: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = set(operation["x-callers"])
    return next((lines for kind, lines in reversed(CREDENTIALS.items()) if kind in kinds), ())
