"""Says in words what a change of an agent would do, field by field, before it is saved."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from basewarden.connections.agent_words import shorten_table
from basewarden.connections.models import Access, Agent, ColumnRule
from basewarden.core.brief import make_brief

_LONGEST = 80
_ACCESS_WORDS = {Access.READ: "read", Access.PROPOSE: "read and propose", Access.WRITE: "read and write"}
_RULE_WORDS = {ColumnRule.MASK: "dots", ColumnRule.DENY: "hidden"}
_LIMITS = {
    "maxRowsPerWrite": ("Rows per write", "max_rows_per_write"),
    "maxWritesPerSession": ("Writes per session", "max_writes_per_session"),
    "maxRowsPerSession": ("Rows per session", "max_rows_per_session"),
    "maxRowsPerHour": ("Rows written per hour", "max_rows_per_hour"),
    "maxReadRowsPerHour": ("Rows read per hour", "max_read_rows_per_hour"),
    "requestsPerMinute": ("Requests per minute", "requests_per_minute"),
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One thing that would change, and its value before and after, in words."""

    label: str
    old: str
    new: str


def describe_agent_change(before: Agent, after: Agent, fields: Collection[str], role: str) -> list[FieldChange]:
    """`fields` are named as in the API; `role` is the connection's, for an agent without one of its own."""
    found = []
    if "name" in fields:
        found.append(FieldChange("Name", before.name, after.name))
    if "access" in fields:
        found.append(FieldChange("Access", _ACCESS_WORDS[Access(before.access)], _ACCESS_WORDS[Access(after.access)]))
    if "tables" in fields:
        found += _compare_tables(before.table_access, after.table_access)
    if "functions" in fields:
        found.append(FieldChange("Functions", _list(before.function_names), _list(after.function_names)))
    if "columns" in fields:
        found += _compare_columns(before.columns or {}, after.columns or {})
    for name, (label, column) in _LIMITS.items():
        if name in fields:
            found.append(FieldChange(label, _count(getattr(before, column)), _count(getattr(after, column))))
    if "expiresAt" in fields:
        found.append(FieldChange("Expires", _name_day(before), _name_day(after)))
    if "dbRole" in fields:
        found.append(FieldChange("Database role", before.db_role or role, after.db_role or role))
    if "claims" in fields:
        found.append(FieldChange("Claims", _name_claims(before), _name_claims(after)))
    return [FieldChange(one.label, make_brief(one.old, _LONGEST), make_brief(one.new, _LONGEST)) for one in found]


def _compare_tables(before: Mapping[str, Access] | None, after: Mapping[str, Access] | None) -> list[FieldChange]:
    """By table, where both are lists."""
    if before is None or after is None:
        return [FieldChange("Tables", *("every table" if one is None else _list(list(one)) for one in (before, after)))]
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    words = [
        tuple(_ACCESS_WORDS[one[name]] if name in one else "no access" for one in (before, after)) for name in names
    ]
    return [FieldChange(shorten_table(name), old, new) for name, (old, new) in zip(names, words, strict=True)]


def _compare_columns(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[FieldChange]:
    rules = [
        {f"{shorten_table(table)}.{name}": rule for table, columns in one.items() for name, rule in columns.items()}
        for one in (before, after)
    ]
    changed = [name for name in {**rules[0], **rules[1]} if rules[0].get(name) != rules[1].get(name)]
    return [FieldChange(name, _name_rule(rules[0].get(name)), _name_rule(rules[1].get(name))) for name in changed]


def _name_rule(rule: str | None) -> str:
    return "shown" if rule is None else _RULE_WORDS[ColumnRule(rule)]


def _list(names: Sequence[str] | None) -> str:
    return "every one" if names is None else ", ".join(shorten_table(name) for name in names) or "none"


def _count(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def _name_day(agent: Agent) -> str:
    return f"{agent.expires_at:%-d %B %Y}" if agent.expires_at else "never"


def _name_claims(agent: Agent) -> str:
    return ", ".join(f"{name}: {value}" for name, value in (agent.claims or {}).items()) or "none"
