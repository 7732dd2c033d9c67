"""The SQL that brings an object's access from one state to another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from basewarden.sentry.access.acl import AclPlan, plan_exact, plan_least, take_with_table
from basewarden.sentry.access.login import LoginRoles
from basewarden.sentry.access.state import RELATIONS, AccessKind, AccessState, Acl, AclEntry, PolicyState, quote_state
from pgrest import quote_ident, quote_literal

_TARGETS: Final = {AccessKind.SEQUENCE: "SEQUENCE", AccessKind.FUNCTION: "ROUTINE", AccessKind.SCHEMA: "SCHEMA"}
_OBJECTS: Final = "storage.objects"
_LISTS: Final = frozenset({"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"})
"""Settings whose value is a list of names: quoted as one text they would be one name."""


class RestoreStep(NamedTuple):
    """One statement; with a role it runs as that role."""

    sql: str
    role: str | None = None


def write_script(steps: Sequence[RestoreStep]) -> str:
    """To be read, and to be run within one transaction."""
    lines: list[str] = []
    role: str | None = None
    for step in steps:
        if step.role != role:
            role = step.role
            lines.append(f"SET LOCAL ROLE {quote_ident(role)};" if role is not None else "RESET ROLE;")
        lines.append(f"{step.sql};")
    return "\n".join([*lines, "RESET ROLE;"] if role is not None else lines)


def make_restore(
    current: AccessState, target: AccessState, login: LoginRoles, *, keeps_order: bool = True
) -> list[RestoreStep]:
    """Empty where they are the same. Owners are not changed, and a default that was written out stays so.

    To keep the order of grants, others are granted again; without, only what differs is touched.
    """
    role = login.choose_role(current.owner, current.owner)
    altered = [RestoreStep(sql, role) for sql in _alter(current, target)]
    plan = _plan_in_order if keeps_order else _plan_least
    return [*altered, *_restore_grants(current, target, login, plan)]


# Grants -----------------------------------------------------------------------------------------------------


_MakePlan = Callable[[str, Acl, Acl, LoginRoles], AclPlan]


def _restore_grants(
    current: AccessState, target: AccessState, login: LoginRoles, make_plan: _MakePlan
) -> Iterator[RestoreStep]:
    if current.kind is AccessKind.DEFAULTS:
        yield from _restore_defaults(current, target, login)
        return
    on = f"ON {_TARGETS.get(current.kind, 'TABLE')} {quote_state(current)}"
    plan = make_plan(current.owner, current.acl, target.acl, login)
    columns = {name: take_with_table(acl, plan.revoked) for name, acl in current.columns.items()}
    of_columns = {
        name: make_plan(current.owner, columns.get(name, ()), target.columns.get(name, ()), login)
        for name in dict.fromkeys([*current.columns, *target.columns])
    }
    for name, one in of_columns.items():
        yield from _revoke(one.revoked, on, current, login, name)
    yield from _revoke(plan.revoked, on, current, login)
    yield from _grant(plan.granted, on, current, login)
    for name, one in of_columns.items():
        yield from _grant(one.granted, on, current, login, name)


def _restore_defaults(current: AccessState, target: AccessState, login: LoginRoles) -> Iterator[RestoreStep]:
    """Their grantor is always the role whose objects get them."""
    where = f" IN SCHEMA {quote_ident(current.schema)}" if current.schema else ""
    alter = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_ident(current.name)}{where}"
    plan = _plan_in_order(current.owner, current.acl, target.acl, login)
    on = f"ON {(current.arguments or '').upper()}"
    for step in (*_revoke(plan.revoked, on, current, login), *_grant(plan.granted, on, current, login)):
        yield RestoreStep(f"{alter} {step.sql}")


def _plan_least(owner: str, current: Acl, target: Acl, _login: LoginRoles) -> AclPlan:
    return plan_least(owner, current, target)


def _plan_in_order(owner: str, current: Acl, target: Acl, login: LoginRoles) -> AclPlan:
    if current == target:
        return AclPlan((), ())
    exact = plan_exact(owner, current, target)
    touched = {entry.grantor for entry in (*exact.revoked, *exact.granted)}
    may_all = all(login.may_grant_as(role, owner) for role in touched)
    return exact if may_all else plan_least(owner, current, target)


def _revoke(
    entries: Iterable[AclEntry], on: str, state: AccessState, login: LoginRoles, column: str | None = None
) -> Iterator[RestoreStep]:
    for entry in entries:
        sql = f"REVOKE {_list_rights(entry.rights, column)} {on} FROM {_grantee(entry)} CASCADE"
        yield RestoreStep(sql, login.choose_role(entry.grantor, state.owner))


def _grant(
    entries: Iterable[AclEntry], on: str, state: AccessState, login: LoginRoles, column: str | None = None
) -> Iterator[RestoreStep]:
    for entry in entries:
        role = login.choose_role(entry.grantor, state.owner)
        plain = [one for one in entry.rights if one not in entry.grantable]
        if plain:
            yield RestoreStep(f"GRANT {_list_rights(plain, column)} {on} TO {_grantee(entry)}", role)
        if entry.grantable:
            rights = _list_rights(entry.grantable, column)
            yield RestoreStep(f"GRANT {rights} {on} TO {_grantee(entry)} WITH GRANT OPTION", role)


def _list_rights(rights: Iterable[str], column: str | None) -> str:
    return ", ".join(right if column is None else f"{right} ({quote_ident(column)})" for right in rights)


def _grantee(entry: AclEntry) -> str:
    return "PUBLIC" if entry.grantee is None else quote_ident(entry.grantee)


# Row level security, policies, options ------------------------------------------------------------------------


def _alter(current: AccessState, target: AccessState) -> Iterator[str]:
    name = quote_state(current)
    if current.kind is AccessKind.BUCKET:
        if current.is_public != target.is_public:
            value = "true" if target.is_public else "false"
            yield f"UPDATE storage.buckets SET public = {value} WHERE id = {quote_literal(current.name)}"
        yield from _alter_policies(_OBJECTS, current, target)
        return
    if current.kind is AccessKind.FUNCTION:
        yield from _alter_settings(name, current.options, target.options)
    elif current.kind in RELATIONS:
        yield from _alter_options(f"ALTER {current.kind.upper()} {name}", current.options, target.options)
        yield from _alter_security(f"ALTER TABLE {name}", current, target)
        yield from _alter_policies(name, current, target)


def _alter_security(alter: str, current: AccessState, target: AccessState) -> Iterator[str]:
    if current.has_rls != target.has_rls:
        yield f"{alter} {'ENABLE' if target.has_rls else 'DISABLE'} ROW LEVEL SECURITY"
    if current.forces_rls != target.forces_rls:
        yield f"{alter} {'FORCE' if target.forces_rls else 'NO FORCE'} ROW LEVEL SECURITY"
    if target.replica_identity is not None and current.replica_identity != target.replica_identity:
        kind, _, index = target.replica_identity.partition(":")
        words = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}.get(kind) or f"USING INDEX {quote_ident(index)}"
        yield f"{alter} REPLICA IDENTITY {words}"


def _alter_policies(table: str, current: AccessState, target: AccessState) -> Iterator[str]:
    wanted, found = set(target.policies), set(current.policies)
    for policy in current.policies:
        if policy not in wanted:
            yield f"DROP POLICY {quote_ident(policy.name)} ON {table}"
    for policy in target.policies:
        if policy not in found:
            yield write_policy(policy, table)
            if policy.comment is not None:
                yield f"COMMENT ON POLICY {quote_ident(policy.name)} ON {table} IS {quote_literal(policy.comment)}"


def write_policy(policy: PolicyState, table: str) -> str:
    roles = ", ".join("PUBLIC" if role is None else quote_ident(role) for role in policy.roles)
    kind = "PERMISSIVE" if policy.is_permissive else "RESTRICTIVE"
    parts = [f"CREATE POLICY {quote_ident(policy.name)} ON {table} AS {kind} FOR {policy.command} TO {roles}"]
    if policy.using is not None:
        parts.append(f"USING ({policy.using})")
    if policy.check is not None:
        parts.append(f"WITH CHECK ({policy.check})")
    return " ".join(parts)


def _alter_options(alter: str, current: Sequence[str], target: Sequence[str]) -> Iterator[str]:
    """Options are kept in the order in which they were set."""
    same = _count_same(current, target)
    if current[same:]:
        yield f"{alter} RESET ({', '.join(quote_ident(one.partition('=')[0]) for one in current[same:])})"
    if target[same:]:
        pairs = (one.partition("=") for one in target[same:])
        yield f"{alter} SET ({', '.join(f'{quote_ident(name)} = {quote_literal(value)}' for name, _, value in pairs)})"


def _alter_settings(name: str, current: Sequence[str], target: Sequence[str]) -> Iterator[str]:
    same = _count_same(current, target)
    for one in current[same:]:
        yield f"ALTER ROUTINE {name} RESET {_quote_setting(one.partition('=')[0])}"
    for one in target[same:]:
        setting, _, value = one.partition("=")
        values = _split_names(value) if setting in _LISTS else [value]
        yield f"ALTER ROUTINE {name} SET {_quote_setting(setting)} TO {', '.join(map(quote_literal, values or ['']))}"


def _quote_setting(name: str) -> str:
    return ".".join(map(quote_ident, name.split(".")))


def _split_names(text: str) -> list[str]:
    """`a, "b,c"` as the names that it lists."""
    names, name, is_quoted = [], "", False
    for character in f"{text},":
        if character == '"':
            is_quoted = not is_quoted
            name += character
        elif character == "," and not is_quoted:
            name = name.strip()
            names.append(name[1:-1].replace('""', '"') if name.startswith('"') else name.lower())
            name = ""
        else:
            name += character
    return [one for one in names if one or text]


def _count_same(one: Sequence[str], other: Sequence[str]) -> int:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return same
