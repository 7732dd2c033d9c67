"""The form of a new agent: what it fills in at first, and how it becomes the API's request body."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from basewarden.accounts import CONFIRM_FIELD
from basewarden.connections.models import Access, Agent
from basewarden.connections.schemas import MAX_TABLES, AgentCreate, Table
from basewarden.errors import Invalid

MAX_LISTED = 400
"""Tables with a box of their own; the names of others are typed."""
LIST_FIELDS = ("table",)
STEPS = (
    ("Name", ("name",)),
    ("Tables", ("access", "reach", "tables")),
    (
        "Limits",
        ("maxRowsPerWrite", "maxWritesPerSession", "expiry", "expiresAt", "dbRole", "claims", "", CONFIRM_FIELD),
    ),
)
"""Each step of the form with its fields; "" is an error of the whole form."""
_TABLE_FIELDS = ("tables", "table")
EXPIRIES = (("never", "Never"), ("30", "30 days"), ("90", "90 days"), ("date", "On a date"))
"""When the token expires, as the form offers it; numbers are days from today."""


@dataclass(frozen=True, slots=True)
class AgentTemplate:
    """Values that a click fills into the form, and nothing else: an agent does not remember its template."""

    key: str
    title: str
    note: str
    values: Mapping[str, str]


def _make_values(name: str, access: Access, reach: str, rows: int, writes: int) -> dict[str, str]:
    limits = {"maxRowsPerWrite": str(rows), "maxWritesPerSession": str(writes)}
    return {"name": name, "access": access.value, "reach": reach, **limits}


TEMPLATES = (
    AgentTemplate(
        "analyst", "Read-only analyst", "Reads, writes nothing.", _make_values("analyst", Access.READ, "all", 1000, 500)
    ),
    AgentTemplate(
        "support",
        "Support desk",
        "Small corrections, 20 rows at a time.",
        _make_values("support-desk", Access.WRITE, "chosen", 20, 200),
    ),
    AgentTemplate(
        "editor",
        "Content editor",
        "Edits chosen tables, 100 rows at a time.",
        _make_values("content-editor", Access.WRITE, "chosen", 100, 500),
    ),
    AgentTemplate(
        "importer",
        "Importer",
        "Large writes into chosen tables.",
        _make_values("importer", Access.WRITE, "chosen", 10_000, 5000),
    ),
    AgentTemplate("custom", "Custom", "Choose everything yourself.", _make_values("", Access.READ, "all", 1000, 500)),
)


class AgentForm(AgentCreate):
    """Takes tables as ticked boxes and as lines, claims as JSON, and the last valid day as the expiry."""

    model_config = ConfigDict(extra="ignore")  # fields that only the page needs

    expiry: Literal["never", "30", "90", "date"] | None = None
    reach: Literal["all", "chosen"] | None = None
    table: Annotated[list[Table], Field(max_length=MAX_TABLES)] = Field(default_factory=list)

    @field_validator("tables", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("claims", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except (json.JSONDecodeError, RecursionError):
            raise ValueError('must be a JSON object, such as {"sub": "…"}') from None

    @field_validator("expires_at", mode="before")
    @classmethod
    def _end_of_day(cls, value: Any) -> Any:
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except (TypeError, ValueError):
            raise ValueError("must be a date, such as 2030-12-31") from None
        return _end_day(day)

    def as_agent(self) -> AgentCreate:
        """Raises Invalid where boxes and choice contradict each other: neither may grant more than is meant."""
        tables = list(dict.fromkeys([*self.table, *(self.tables or ())]))
        if self.reach == "all" and tables:
            raise Invalid.field("tables", "Tables are chosen below. Select “Only these tables”, or clear the choice.")
        if self.reach == "chosen" and not tables:
            raise Invalid.field("tables", "Choose at least one table, or select “Every table”.")
        if len(tables) > MAX_TABLES:
            raise Invalid.field("tables", f"Choose at most {MAX_TABLES} tables.")
        values = self.model_dump(exclude={"reach", "table", "tables", "expiry", "expires_at"}, by_alias=True)
        return AgentCreate.model_validate({**values, "tables": tables or None, "expiresAt": self._choose_expiry()})

    def _choose_expiry(self) -> datetime | None:
        """Without a choice the date counts, if there is one."""
        if self.expiry == "date" and self.expires_at is None:
            raise Invalid.field("expiresAt", "Enter a date.")
        if self.expiry in (None, "date"):
            return self.expires_at
        if self.expires_at is not None:
            raise Invalid.field("expiresAt", "A date is entered here. Select “On a date”, or clear it.")
        return None if self.expiry == "never" else _end_day(datetime.now(UTC) + timedelta(days=int(self.expiry)))


def _end_day(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC)


def find_template(key: str | None) -> AgentTemplate | None:
    return next((template for template in TEMPLATES if template.key == key), None)


def fill_in(template: AgentTemplate | None, like: Agent | None) -> dict[str, str]:
    """Returns the values that an empty form begins with: a template's, another agent's, or the defaults."""
    if like is not None:
        return _copy_agent(like)
    return dict((template or TEMPLATES[-1]).values)


def _copy_agent(agent: Agent) -> dict[str, str]:
    """Copies all but the expiry, which may be over."""
    reach = "all" if agent.tables is None else "chosen"
    values = _make_values(
        agent.name, Access(agent.access), reach, agent.max_rows_per_write, agent.max_writes_per_session
    )
    claims = json.dumps(agent.claims, ensure_ascii=False) if agent.claims else ""
    return {**values, "table": "\n".join(agent.tables or ()), "dbRole": agent.db_role or "", "claims": claims}


def gather_errors(errors: Mapping[str, str]) -> dict[str, str]:
    """Puts the errors of single table names beside the list that they are in."""
    gathered: dict[str, str] = {}
    for name, message in errors.items():
        field = "tables" if name.partition(".")[0] in _TABLE_FIELDS else name
        gathered.setdefault(field, message)
    return gathered


def find_step(errors: Iterable[str]) -> int:
    """Returns the number of the first step with an error, counted from 1."""
    names = set(errors)
    return next((number for number, (_, fields) in enumerate(STEPS, 1) if names.intersection(fields)), 1)
