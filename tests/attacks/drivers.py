"""How a script's steps reach the product: one driver for each way that agents have."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from tests.attacks.corpus import AttackStep

_SHOWN = ("content-range", "content-location", "content-type", "location", "preference-applied", "x-basewarden-session")


@dataclass(frozen=True)
class AttackAnswer:
    """`outcome` is `200`, or `403 row_limit` for a refusal; `content` and `headers` are all that the agent sees."""

    outcome: str
    content: str
    headers: dict[str, str]

    @property
    def is_success(self) -> bool:
        return self.outcome[0] == "2"

    @property
    def shown(self) -> tuple[str, str, str]:
        """What must be equal where two answers may not differ."""
        compared = {name: value for name, value in self.headers.items() if name in _SHOWN[:-1]}
        return self.outcome, self.content, str(compared)


class Driver(Protocol):
    """Sends what an agent does; `session` is the session of its last write."""

    name: str
    session: str

    def can_run(self, step: AttackStep) -> bool:
        """Whether the step is written for this driver."""
        ...

    async def send(self, step: AttackStep, request: Any) -> AttackAnswer:
        """`request` is the step's own for this driver, or the one that it must be the same as."""
        ...


class RestDriver:
    """`base` is the connection's data API. The target of a request goes out as it is written, byte for byte."""

    name = "rest"

    def __init__(self, client: httpx.AsyncClient, base: str, token: str) -> None:
        self._client = client
        self._base = base
        self._token = token
        self.session = ""

    def can_run(self, step: AttackStep) -> bool:
        return step.rest is not None

    async def send(self, step: AttackStep, request: Any) -> AttackAnswer:
        method, _, target = str(request).partition(" ")
        place = target[1:] if target.startswith("~") else f"{self._base}{target}"
        headers = list(step.headers)
        if step.credentials:
            headers.append(("authorization", f"Bearer {self._token}"))
        content = b""
        if step.body is not None:
            content = step.body.encode() if isinstance(step.body, str) else json.dumps(step.body).encode()
            if all(name != "content-type" for name, _ in headers):
                headers.append(("content-type", "application/json"))
        built = self._client.build_request(method, "/", headers=headers, content=content)
        built.extensions["target"] = place.replace(" ", "%20").encode()
        answer = await self._client.send(built)
        self.session = answer.headers.get("x-basewarden-session", self.session)
        return read_answer(answer)


def read_answer(answer: httpx.Response) -> AttackAnswer:
    outcome = str(answer.status_code)
    if answer.is_error and "json" in answer.headers.get("content-type", "") and answer.content:
        outcome = f"{outcome} {answer.json().get('code')}"
    shown = {name: answer.headers[name] for name in _SHOWN if name in answer.headers}
    return AttackAnswer(outcome, answer.text, shown)
