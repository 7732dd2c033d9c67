"""Changes of which a person must choose one, where a policy lets too many in: SQL to copy, each for another intent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from basewarden.policy import is_sensitive_name
from basewarden.sentry.policies.facts import PolicyRecord, TablePolicies
from basewarden.sentry.policies.openings import Opening, OpeningKind, list_roles, sort_openings
from basewarden.sentry.policies.sql import read_table
from basewarden.sentry.rule import ScannedObject
from basewarden.sentry.words import list_names, quote_object
from pgrest import quote_ident

_USERS: Final = "authenticated"
_PERSON_NAMES: Final = frozenset({"userid", "useruuid", "uid", "ownerid", "authorid", "creatorid", "authuserid"})
_KINDS: Final = frozenset(
    {OpeningKind.READ, OpeningKind.WRITE, OpeningKind.SIGNED_IN, OpeningKind.TENANTS, OpeningKind.JOINED}
)


@dataclass(frozen=True, slots=True)
class FixChoice:
    """`intent` says when it is the right one, `note` what else it does."""

    intent: str
    sql: str
    note: str = ""


def list_choices(found: ScannedObject, rule: str, catalog: Mapping[str, Any]) -> Sequence[FixChoice]:
    facts = read_table(catalog)
    if facts is None or rule not in _KINDS:
        return ()
    openings = sort_openings(facts).get(OpeningKind(rule), ())
    return tuple(_list_choices(quote_object(found), facts, openings)) if openings else ()


def _list_choices(table: str, facts: TablePolicies, openings: Sequence[Opening]) -> Iterator[FixChoice]:
    """Without the API's own roles, as in a database that is no Supabase project, there is no `auth.uid()`."""
    policies = list({one.policy.name: one.policy for one in openings}.values())
    has_users = _USERS in facts.rights
    owner = _find_owner(facts)
    if has_users and owner is not None:
        yield FixChoice(
            "Each person has only their own rows",
            "\n".join(_alter(table, one, f"({quote_ident(owner)} = (SELECT auth.uid()))") for one in policies),
            f"Where {owner} holds the id that the person has in auth.users.",
        )
    if {one.command for one in openings} == {"select"}:
        yield from _hide_columns(table, facts, list_roles(openings))
    if has_users and any(one.role != _USERS for one in openings):
        yield FixChoice(
            "Only people who sign in, and all rows for each of them",
            "\n".join(f"ALTER POLICY {quote_ident(one.name)} ON {table} TO {_USERS};" for one in policies),
            "Where everyone may sign up, everyone still reaches them.",
        )
    yield FixChoice(
        "No access through this policy",
        "\n".join(f"DROP POLICY {quote_ident(one.name)} ON {table};" for one in policies),
        "The table's other policies stay as they are." if len(facts.policies) > len(policies) else "",
    )


def _find_owner(facts: TablePolicies) -> str | None:
    """The column with a person's id: by its foreign key, otherwise by its name."""
    by_key = [one.name for one in facts.columns if one.is_user]
    by_name = [one.name for one in facts.columns if one.name.lower().replace("_", "") in _PERSON_NAMES]
    return next(iter([*by_key, *by_name]), None)


def _alter(table: str, policy: PolicyRecord, condition: str) -> str:
    using = "" if policy.command == "insert" else f"\n  USING {condition}"
    check = "" if policy.command in {"select", "delete"} else f"\n  WITH CHECK {condition}"
    return f"ALTER POLICY {quote_ident(policy.name)} ON {table}{using}{check};"


def _hide_columns(table: str, facts: TablePolicies, roles: Sequence[str]) -> Iterator[FixChoice]:
    sensitive = facts.list_sensitive(roles)
    shown = [one.name for one in facts.columns if not is_sensitive_name(one.name)]
    if not sensitive or not shown:
        return
    names = ", ".join(map(quote_ident, roles))
    yield FixChoice(
        f"Everyone reads the rows, without {list_names(sensitive)}",
        f"REVOKE SELECT ON {table} FROM {names};\n"
        f"GRANT SELECT ({', '.join(map(quote_ident, shown))}) ON {table} TO {names};",
        "A request for select=* then fails: your pages must name the columns.",
    )
