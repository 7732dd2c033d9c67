"""Describes in words what an agent may do: the same on the list, on its page and beside the form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from basewarden.connections.models import Access, Agent, ColumnRule
from basewarden.connections.schemas import AgentCreate
from basewarden.web import count_things

_MAX_NAMED = 3
_GROUPS = {"data": "What it reads and writes", "limits": "How much", "identity": "As whom, and until when"}
_VERBS = {Access.READ: "Reads", Access.PROPOSE: "Reads and proposes changes to", Access.WRITE: "Reads and writes"}
Policy = Agent | AgentCreate


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """One thing that an agent may or may not do, the icon of its kind, and the question that it answers."""

    icon: str
    text: str
    group: Literal["data", "limits", "identity"] = "data"


def describe_access(policy: Policy) -> str:
    """`Reads and writes orders and prices, at most 1,000 rows per write`."""
    if policy.access == Access.READ:
        return _describe_tables(policy)
    return f"{_describe_tables(policy)}, at most {count_things(policy.max_rows_per_write, 'row')} per write"


def group_policy(facts: Sequence[PolicyFact]) -> list[tuple[str, list[PolicyFact]]]:
    """Returns titles with the facts below them, in their order; none without any."""
    grouped = [(title, [fact for fact in facts if fact.group == group]) for group, title in _GROUPS.items()]
    return [(title, found) for title, found in grouped if found]


def describe_policy(policy: Policy, role: str) -> list[PolicyFact]:
    """Lists facts; `role` is the connection's role, which applies where the agent has none of its own."""
    claims = ", with claims of its own" if policy.claims else ""
    expiry = f"works until {policy.expires_at:%-d %B %Y}" if policy.expires_at else "has no expiry date"
    return [
        PolicyFact("table", f"{_describe_tables(policy)}."),
        *_describe_columns(policy),
        *_describe_writes(policy),
        *_describe_budgets(policy),
        PolicyFact("person", f"Requests run as the database role {policy.db_role or role}{claims}.", "identity"),
        PolicyFact("key", f"The token {expiry}.", "identity"),
    ]


def _describe_budgets(policy: Policy) -> list[PolicyFact]:
    is_writer = policy.access != Access.READ
    limits = (
        ("edit", policy.max_rows_per_session if is_writer else None, "row", "It may write {} in a session."),
        ("edit", policy.max_rows_per_hour if is_writer else None, "row", "It may write {} in an hour."),
        ("table", policy.max_read_rows_per_hour, "row", "It may read {} in an hour."),
        ("filter", policy.requests_per_minute, "request", "It may send {} in a minute."),
    )
    return [
        PolicyFact(icon, text.format(count_things(limit, thing)), "limits")
        for icon, limit, thing, text in limits
        if limit is not None
    ]


def _describe_columns(policy: Policy) -> list[PolicyFact]:
    rules = [
        (f"{shorten_table(table)}.{column}", rule)
        for table, columns in (policy.columns or {}).items()
        for column, rule in columns.items()
    ]
    facts = []
    for kind, text in ((ColumnRule.MASK, "It sees dots in place of"), (ColumnRule.DENY, "It does not see")):
        names = [name for name, rule in rules if rule == kind]
        if names:
            facts.append(PolicyFact("eye", f"{text} {_name(names, 'column')}."))
    return facts


def _describe_tables(policy: Policy) -> str:
    text = _describe_reach(policy.access, policy.table_access)
    if policy.function_names is None:
        return text
    called = _name([shorten_table(name) for name in policy.function_names], "function")
    if policy.table_access is None:
        return f"{text}, and calls {f'only {called}' if called else 'no function'}"
    return f"{text}, and calls {called}" if called else text


def _describe_reach(own: str, access: Mapping[str, Access] | None) -> str:
    """`Reads and writes orders, reads prices`."""
    if access is None:
        return f"{_VERBS[Access(own)]} every table"
    parts = []
    for kind in (Access.WRITE, Access.PROPOSE, Access.READ):
        names = [shorten_table(name) for name, one in access.items() if one is kind]
        if names:
            parts.append(f"{_VERBS[kind]} {_name(names, 'table')}")
    first, *rest = parts or [f"{_VERBS[Access(own)]} no table"]
    return ", ".join([first, *(part[0].lower() + part[1:] for part in rest)])


def _describe_writes(policy: Policy) -> list[PolicyFact]:
    if policy.access == Access.READ:
        return [PolicyFact("lock", "It cannot write: every request is read-only.")]
    rows = count_things(policy.max_rows_per_write, "row")
    writes = count_things(policy.max_writes_per_session, "write")
    proposes = policy.access == Access.PROPOSE
    outcome = "refused" if proposes else "rolled back"
    guards = [
        *([PolicyFact("check", "Its writes change nothing until an editor approves them.")] if proposes else ()),
        PolicyFact("edit", f"A write may change {rows} at most. A larger one is {outcome}.", "limits"),
        PolicyFact("list", f"A session may hold {writes}. Then an editor must release it.", "limits"),
        PolicyFact("filter", "An update or delete without a filter is refused."),
    ]
    access = policy.table_access
    if access is not None:
        also = " or that it may only read" if Access.READ in access.values() else ""
        text = f"A write is refused if a foreign key would change rows of a table that is not listed{also}."
        guards.append(PolicyFact("branch", text))
    return guards


def shorten_table(name: str) -> str:
    return name.removeprefix("public.")


def _name(names: Sequence[str], thing: str) -> str:
    if len(names) > _MAX_NAMED:
        return count_things(len(names), thing)
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
