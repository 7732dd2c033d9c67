"""An example request of each operation, as a curl command."""

import json
import re
import shlex
from collections.abc import Mapping
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


def make_curl(origin: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    """The command over several lines: address, credential, body."""
    parameters = operation.get("parameters", ())
    examples = {one["name"]: str(one["example"]) for one in parameters if one["in"] == "path"}
    address = origin + re.sub(r"{(\w+)}", lambda match: examples[match[1]], path)
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}{shlex.quote(address)}", *_list_credentials(operation)]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        text = json.dumps(body["example"], indent=2, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


def _list_credentials(operation: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = set(operation["x-callers"])
    return next((lines for kind, lines in reversed(CREDENTIALS.items()) if kind in kinds), ())
