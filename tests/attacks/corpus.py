"""The scripts of `scripts/*.toml`: what a hostile or an honest agent does, and what must hold afterwards.

A file is a family: `[[script]]` tables, hostile unless the file is `honest.toml`. A script names an agent of `agents.toml`,
changes its policy by `with`, and has steps. Each step is one of these, and `{connection}`, `{agent}`, `{token}`, `{session}`
and the like stand for what `AttackBench.make_names` has:

    rest = "GET /orders?id=eq.1"         what the agent sends below its /rest/v1; `~/…` is below the product's own address
    member = "POST agents/{agent}/pause" what the connection's owner does meanwhile, below /api/connections/<id>/; it may be
                                         `refused` too
    database = "UPDATE …"                what happens in the project's database by itself

A step of an agent says what it must be answered with: `refused` (a status and code, or several that will do), `status`, or
`gives` (the exact JSON). `same_as` is another request that must get the same bytes. `times` sends it so often at once, with
`{n}` from 1 on, and then `accepted` says how many of them succeed. A script for another driver has steps with that driver's name in place of
`rest`: `sql`, `mcp`.

Whatever a script does, no answer may hold a word of its agent's `hidden` list that the step itself did not send, none may be
a 500, and no row of the project may differ afterwards but as `changed` says, by table; each of those is in the journal.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

_FOLDER = Path(__file__).parent
HONEST = "honest"
BACKENDS = ("direct", "api")


class AttackStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`headers` are pairs, since some are sent twice. `credentials`: none if the step has its own."""

    rest: str | None = None
    sql: str | None = None
    mcp: dict[str, Any] | None = None
    member: str | None = None
    database: str | None = None
    body: Any = None
    headers: list[tuple[str, str]] = []
    credentials: bool = True
    times: int = 1
    accepted: int | None = None
    refused: str | list[str] = []
    status: int | None = None
    gives: str | None = None
    same_as: str | None = None

    @property
    def is_of_agent(self) -> bool:
        return self.member is None and self.database is None

    @property
    def refusals(self) -> list[str]:
        return [self.refused] if isinstance(self.refused, str) else self.refused

    @property
    def sent(self) -> str:
        """All that the agent itself says in it, as it is written and decoded."""
        parts = (self.rest, self.sql, self.mcp, self.same_as, self.body, self.headers)
        text = "\n".join(map(str, parts))
        return f"{text}\n{unquote(text)}"


class AttackScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`at_most` bounds the rows that may differ where a race decides. `unrecorded`: functions or triggers wrote."""

    name: str
    agent: str
    steps: list[AttackStep]
    policy: dict[str, Any] = msgspec.field(name="with", default={})
    backends: list[str] = []
    changed: dict[str, int] = {}
    at_most: dict[str, int] = {}
    unrecorded: bool = False
    family: str = ""

    @property
    def is_hostile(self) -> bool:
        return self.family != HONEST


class AgentProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent of the scripts. `hidden` are words that no answer to it may hold."""

    policy: dict[str, Any]
    hidden: list[str] = []
    backends: tuple[str, ...] = BACKENDS


def load_profiles() -> dict[str, AgentProfile]:
    content = tomllib.loads((_FOLDER / "agents.toml").read_text())
    return msgspec.convert(content, dict[str, AgentProfile])


def load_scripts() -> list[AttackScript]:
    return [script for path in sorted((_FOLDER / "scripts").glob("*.toml")) for script in read_family(path)]


def read_family(path: Path) -> list[AttackScript]:
    """Raises msgspec.ValidationError for what is no script."""
    found = tomllib.loads(path.read_text())["script"]
    return msgspec.convert([{**one, "family": path.stem} for one in found], list[AttackScript])


def find_faults(scripts: Iterable[AttackScript], profiles: dict[str, AgentProfile]) -> list[str]:
    """What is wrong with scripts as such: a step that expects nothing would hold whatever happens."""
    faults = []
    for script in scripts:
        if script.agent not in profiles:
            faults.append(f"{script.name}: there is no agent {script.agent}")
        for step in script.steps:
            kinds = [step.rest, step.sql, step.mcp, step.member, step.database]
            if sum(kind is not None for kind in kinds) != 1:
                faults.append(f"{script.name}: a step is one thing")
            if step.is_of_agent and not _expects(step):
                faults.append(f"{script.name}: a step expects nothing")
    return faults


def _expects(step: AttackStep) -> bool:
    return bool(step.refused) or step.status is not None or step.gives is not None or step.same_as is not None
