"""Describes in words what an agent may do: the same on the list, on its page and beside the form."""

from collections.abc import Sequence
from dataclasses import dataclass

from basewarden.connections.models import Access, Agent
from basewarden.connections.schemas import AgentCreate
from basewarden.web import count_things

_MAX_NAMED = 3
_RPC = "rpc/"
Policy = Agent | AgentCreate


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """One thing that an agent may or may not do, and the icon of its kind."""

    icon: str
    text: str


def describe_access(policy: Policy) -> str:
    """`Reads and writes orders and prices, at most 1,000 rows per write`."""
    if policy.access == Access.READ:
        return _describe_tables(policy)
    return f"{_describe_tables(policy)}, at most {count_things(policy.max_rows_per_write, 'row')} per write"


def describe_reach(tables: Sequence[str] | None) -> str:
    if tables is None:
        return "every table"
    functions = [name for name in tables if name.startswith(_RPC)]
    named = _name(split_tables(tables)[0], "table")
    called = _name([shorten_table(name.removeprefix(_RPC)) for name in functions], "function")
    if not called:
        return named or "no table"
    return f"{named or 'no table'}, and calls {called}"


def describe_policy(policy: Policy, role: str) -> list[PolicyFact]:
    """Lists facts; `role` is the connection's role, which applies where the agent has none of its own."""
    claims = ", with claims of its own" if policy.claims else ""
    expiry = f"works until {policy.expires_at:%-d %B %Y}" if policy.expires_at else "has no expiry date"
    return [
        PolicyFact("table", f"{_describe_tables(policy)}."),
        *_describe_writes(policy),
        PolicyFact("person", f"Requests run as the database role {policy.db_role or role}{claims}."),
        PolicyFact("key", f"The token {expiry}."),
    ]


def _describe_tables(policy: Policy) -> str:
    verbs = "Reads" if policy.access == Access.READ else "Reads and writes"
    return f"{verbs} {describe_reach(policy.tables)}"


def _describe_writes(policy: Policy) -> list[PolicyFact]:
    if policy.access == Access.READ:
        return [PolicyFact("lock", "It cannot write: every request is read-only.")]
    rows = count_things(policy.max_rows_per_write, "row")
    writes = count_things(policy.max_writes_per_session, "write")
    guards = [
        PolicyFact("edit", f"A write may change {rows} at most. A larger one is rolled back."),
        PolicyFact("list", f"A session may hold {writes}. Then an editor must release it."),
        PolicyFact("filter", "An update or delete without a filter is refused."),
    ]
    if policy.tables is not None:
        text = "A write is refused if a foreign key would change rows of a table that is not listed."
        guards.append(PolicyFact("branch", text))
    return guards


def split_tables(tables: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits an agent's list into short names of tables, and names of functions as they are listed."""
    short = [shorten_table(name) for name in tables if not name.startswith(_RPC)]
    return short, [name for name in tables if name.startswith(_RPC)]


def shorten_table(name: str) -> str:
    return name.removeprefix("public.")


def _name(names: Sequence[str], thing: str) -> str:
    if len(names) > _MAX_NAMED:
        return count_things(len(names), thing)
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
