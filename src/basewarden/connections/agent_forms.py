"""The form of an agent: what it fills in at first, and how it becomes the API's request body."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from basewarden.accounts import CONFIRM_FIELD
from basewarden.connections.models import RPC, Access, Agent, ColumnRule
from basewarden.connections.schemas import (
    MAX_TABLES,
    AgentCreate,
    AgentSettings,
    ColumnRulesByTable,
    Function,
    Table,
    check_table,
)
from basewarden.errors import Invalid

MAX_LISTED = 400
"""Tables with a box of their own; the names of others are typed."""
LIST_FIELDS = ("table", "readTable", "columnRule")
STEPS = (
    ("Name", ("name",)),
    ("Tables", ("access", "reach", "tables", "functions", "columns")),
    (
        "Limits",
        (
            *("maxRowsPerWrite", "maxWritesPerSession", "maxRowsPerSession", "maxRowsPerHour", "maxReadRowsPerHour"),
            *("requestsPerMinute", "expiry", "expiresAt", "dbRole", "claims", "", CONFIRM_FIELD),
        ),
    ),
)
"""Each step of the form with its fields; "" is an error of the whole form."""
_TABLE_FIELDS = ("tables", "table", "readTable")
_RULE_WORDS = {"mask": ColumnRule.MASK, "hide": ColumnRule.DENY}
READ_PREFIX = "read:"
"""Begins a typed table that may only be read."""
EXPIRIES = (("never", "Never"), ("30", "30 days"), ("90", "90 days"), ("date", "On a date"))
"""When the token expires, as the form offers it; numbers are days from today."""


@dataclass(frozen=True, slots=True)
class AgentTemplate:
    """Values that a click fills into the form, and nothing else: an agent does not remember its template."""

    key: str
    title: str
    icon: str
    note: str
    values: Mapping[str, str]


def _make_values(name: str, access: Access, reach: str, rows: int, writes: int) -> dict[str, str]:
    limits = {"maxRowsPerWrite": str(rows), "maxWritesPerSession": str(writes)}
    return {"name": name, "access": access.value, "reach": reach, **limits}


TEMPLATES = (
    AgentTemplate(
        "analyst",
        "Read-only analyst",
        "eye",
        "Reads, writes nothing.",
        _make_values("analyst", Access.READ, "all", 1000, 500),
    ),
    AgentTemplate(
        "support",
        "Support desk",
        "inbox",
        "Proposes small corrections, 20 rows at a time.",
        _make_values("support-desk", Access.PROPOSE, "chosen", 20, 200),
    ),
    AgentTemplate(
        "editor",
        "Content editor",
        "edit",
        "Edits chosen tables, 100 rows at a time.",
        _make_values("content-editor", Access.WRITE, "chosen", 100, 500),
    ),
    AgentTemplate(
        "importer",
        "Importer",
        "download",
        "Large writes into chosen tables.",
        _make_values("importer", Access.WRITE, "chosen", 10_000, 5000),
    ),
    AgentTemplate(
        "custom", "Custom", "gear", "Choose everything yourself.", _make_values("", Access.READ, "all", 1000, 500)
    ),
)


def _check_typed_table(line: str) -> str:
    return (
        READ_PREFIX + check_table(line.removeprefix(READ_PREFIX)) if line.startswith(READ_PREFIX) else check_table(line)
    )


def _group_columns(text: str) -> dict[str, dict[str, str]]:
    """Reads lines such as `mask customers.email` and `hide sales.orders.note`."""
    grouped: dict[str, dict[str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, name = line.partition(" ")
        table, dot, column = name.strip().rpartition(".")
        if word not in _RULE_WORDS or not dot:
            raise ValueError("must be lines such as “mask customers.email” or “hide customers.ssn”")
        rules = grouped.setdefault(check_table(table), {})
        if rules.get(column, _RULE_WORDS[word]) != _RULE_WORDS[word]:
            raise ValueError("masks and hides the same column")
        rules[column] = _RULE_WORDS[word]
    return grouped


TypedTable = Annotated[str, AfterValidator(_check_typed_table)]
_FORM_FIELDS = {"reach", "table", "read_table", "tables", "functions", "expiry", "expires_at"}


class AgentForm(AgentSettings):
    """Takes tables as ticked boxes and as lines, claims as JSON, and the last valid day as the expiry."""

    model_config = ConfigDict(extra="ignore")  # fields that only the page needs

    expiry: Literal["never", "30", "90", "date"] | None = None
    reach: Literal["all", "chosen"] | None = None
    table: Annotated[list[Table], Field(max_length=MAX_TABLES)] = Field(default_factory=list)
    read_table: Annotated[list[Table], Field(max_length=MAX_TABLES)] = Field(default_factory=list)
    """Those of `table` that may only be read."""
    tables: Annotated[list[TypedTable], Field(max_length=MAX_TABLES)] = Field(default_factory=list)
    functions: Annotated[list[Function], Field(max_length=MAX_TABLES)] = Field(default_factory=list)

    @field_validator("tables", "functions", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    columns: ColumnRulesByTable | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_columns(cls, data: Any) -> Any:
        """Lines that were typed, and choices for the columns of a table, which are the same lines."""
        lines = [data.get("columns", ""), *data.get("columnRule", ())] if isinstance(data, dict) else []
        return {**data, "columns": "\n".join(lines)} if any(lines) else data

    @field_validator("columns", mode="before")
    @classmethod
    def _group(cls, value: Any) -> Any:
        return _group_columns(value) if isinstance(value, str) else value

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
        tables = self._list_tables()
        if self.reach == "all" and tables:
            raise Invalid.field("tables", "Tables are chosen below. Select “Only these tables”, or clear the choice.")
        if self.reach == "chosen" and not tables and not self.functions:
            raise Invalid.field("tables", "Choose at least one table, or select “Every table”.")
        if len(tables) > MAX_TABLES:
            raise Invalid.field("tables", f"Choose at most {MAX_TABLES} tables.")
        values = self.model_dump(exclude=_FORM_FIELDS, by_alias=True)
        reach = {"tables": self._list_access(tables)} if tables or self.reach == "chosen" else {}
        functions = [*(name for name in tables if name.startswith(RPC)), *self.functions]
        values = {**values, **reach, "functions": functions or None, "expiresAt": self._choose_expiry()}
        return AgentCreate.model_validate(values)

    def _list_tables(self) -> list[str]:
        """Lists what is ticked or typed, functions too, each once."""
        return list(dict.fromkeys([*self.table, *(line.removeprefix(READ_PREFIX) for line in self.tables)]))

    def _list_access(self, names: Sequence[str]) -> dict[str, Access]:
        typed = (line.removeprefix(READ_PREFIX) for line in self.tables if line.startswith(READ_PREFIX))
        only_read = {*self.read_table, *typed}
        tables = (name for name in names if not name.startswith(RPC))
        return {name: Access.READ if name in only_read else self.access for name in tables}

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
        return copy_agent(like)
    return dict((template or TEMPLATES[-1]).values)


def copy_agent(agent: Agent) -> dict[str, str]:
    """Copies all but the expiry, which may be over."""
    reach = "all" if agent.tables is None else "chosen"
    values = _make_values(
        agent.name, Access(agent.access), reach, agent.max_rows_per_write, agent.max_writes_per_session
    )
    claims = json.dumps(agent.claims, ensure_ascii=False) if agent.claims else ""
    return {
        **values,
        "table": "\n".join(agent.table_access or ()),
        "readTable": "\n".join(agent.read_tables or ()),
        "functions": "\n".join(agent.function_names or ()),
        "columns": "\n".join(_list_column_lines(agent.columns or {})),
        "maxRowsPerSession": str(agent.max_rows_per_session or ""),
        "maxRowsPerHour": str(agent.max_rows_per_hour or ""),
        "maxReadRowsPerHour": str(agent.max_read_rows_per_hour or ""),
        "requestsPerMinute": str(agent.requests_per_minute or ""),
        "dbRole": agent.db_role or "",
        "claims": claims,
    }


def list_column_choices(table: str, columns: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Lists each column with the choices that a form has for it: a line to send, and its words."""
    words = (("mask", "Mask"), ("hide", "Hide"))
    return [(name, [("", "Show"), *((f"{word} {table}.{name}", text) for word, text in words)]) for name in columns]


def _list_column_lines(columns: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    words = {rule: word for word, rule in _RULE_WORDS.items()}
    for table, rules in columns.items():
        yield from (f"{words[ColumnRule(rule)]} {table}.{column}" for column, rule in rules.items())


def gather_errors(errors: Mapping[str, str]) -> dict[str, str]:
    """Puts the errors of single table names beside the list that they are in."""
    gathered: dict[str, str] = {}
    for name, message in errors.items():
        first = name.partition(".")[0]
        field = "tables" if first in _TABLE_FIELDS else first
        gathered.setdefault(field, message)
    return gathered


def find_step(errors: Iterable[str]) -> int:
    """Returns the number of the first step with an error, counted from 1."""
    names = set(errors)
    return next((number for number, (_, fields) in enumerate(STEPS, 1) if names.intersection(fields)), 1)
