"""What the rules on policies ask of a table, one row a table, and what is answered."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import msgspec

from basewarden.policy import is_sensitive_name
from basewarden.sentry.fragments import API_ROLES, AUTH_USERS, POLICIES, REACHED, RELATIONS
from basewarden.sentry.policies.shape import PolicyShape, assess_expression
from basewarden.sentry.policies.truth import PolicyCaller
from basewarden.sentry.rule import Hit

POLICY_QUERY: Final = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}, {POLICIES}, {AUTH_USERS},
their_policies AS (
  SELECT p.relation, json_agg(json_build_object('name', p.name, 'command', p.command, 'is_permissive', p.is_permissive,
    'using', p.using_text, 'check', p.check_text, 'roles', p.roles) ORDER BY p.name) AS found
  FROM (SELECT * FROM policies OFFSET 0) p WHERE p.roles <> '{{}}' GROUP BY p.relation
),
their_rights AS (
  SELECT r.oid, array_agg(r.role_name ORDER BY r.role_name) AS roles, json_object_agg(r.role_name, array_remove(ARRAY[
    CASE WHEN r.may_select THEN 'select' END, CASE WHEN r.may_insert THEN 'insert' END,
    CASE WHEN r.may_update THEN 'update' END, CASE WHEN r.may_delete THEN 'delete' END], NULL)) AS found,
    json_object_agg(r.role_name, array_remove(ARRAY[
      CASE WHEN has_table_privilege(r.role_name, r.oid, 'SELECT') THEN 'select' END,
      CASE WHEN has_table_privilege(r.role_name, r.oid, 'INSERT') THEN 'insert' END,
      CASE WHEN has_table_privilege(r.role_name, r.oid, 'UPDATE') THEN 'update' END], NULL)) AS whole
  FROM reached r WHERE r.may_select OR r.may_insert OR r.may_update OR r.may_delete GROUP BY r.oid
),
user_keys AS (
  SELECT DISTINCT k.conrelid, m.attnum FROM pg_constraint k CROSS JOIN unnest(k.conkey) AS m(attnum)
  WHERE k.contype = 'f' AND k.confrelid IN (SELECT u.oid FROM auth_users u)
),
their_columns AS (
  SELECT a.attrelid, json_agg(json_build_object('name', a.attname, 'is_not_null', a.attnotnull,
    'is_user', u.attnum IS NOT NULL, 'granted', CASE WHEN a.attacl IS NOT NULL THEN (
      SELECT json_object_agg(r.role_name, array_remove(ARRAY[
        CASE WHEN has_column_privilege(r.role_name, a.attrelid, a.attnum, 'SELECT') THEN 'select' END,
        CASE WHEN has_column_privilege(r.role_name, a.attrelid, a.attnum, 'INSERT') THEN 'insert' END,
        CASE WHEN has_column_privilege(r.role_name, a.attrelid, a.attnum, 'UPDATE') THEN 'update' END], NULL))
      FROM api_roles r) END) ORDER BY a.attnum) AS found
  FROM pg_attribute a JOIN their_policies p ON p.relation = a.attrelid
  LEFT JOIN user_keys u ON u.conrelid = a.attrelid AND u.attnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid
)
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments, r.roles,
  json_build_object('policies', p.found, 'rights', r.found, 'whole', r.whole, 'columns', k.found,
    'has_insert_trigger', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
      AND t.tgtype & 7 = 7),
    'has_update_trigger', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
      AND t.tgtype & 19 = 19)) AS facts
FROM relations c
JOIN their_policies p ON p.relation = c.oid JOIN their_rights r ON r.oid = c.oid
JOIN their_columns k ON k.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.has_rls
ORDER BY c.schema, c.name
"""
"""Tables with row level security and policies that the API's roles may use. A trigger counts that runs before, for
each row: it may set what a policy does not ask for. In order, so that a LIMIT around it plans no nested loops; OFFSET 0
keeps a policy's roles from being looked for twice."""
_OWNER_NAMES: Final = frozenset(
    f"{name}{ending}"
    for name in (
        *("user", "owner", "creator", "author", "account", "tenant", "org", "organization", "organisation", "company"),
        *("workspace", "auth", "authuser", "owneruser"),
    )
    for ending in ("id", "uuid", "uid")
) | {"owner", "createdby", "uid", "tenant", "ownedby"}


def is_owner_name(name: str) -> bool:
    return name.lower().replace("_", "") in _OWNER_NAMES


class PolicyRecord(msgspec.Struct, frozen=True):
    """`roles` are those of the API's roles that it applies to."""

    name: str
    command: str
    is_permissive: bool
    using: str | None
    check: str | None
    roles: tuple[str, ...]

    def applies(self, role: str, command: str) -> bool:
        return role in self.roles and self.command in (command, "all")

    def find_expression(self, command: str) -> str:
        """What decides on `command`; without one a permissive policy lets nothing through, and another everything."""
        text = (self.check or self.using) if command == "insert" else self.using
        return text or ("false" if self.is_permissive else "true")


class ScannedColumn(msgspec.Struct, frozen=True):
    """`is_user`: a foreign key to auth.users. `granted`: commands by role, where the column has grants of its own."""

    name: str
    is_not_null: bool
    is_user: bool
    granted: dict[str, tuple[str, ...]] | None

    @property
    def names_owner(self) -> bool:
        return self.is_user or is_owner_name(self.name)


class TablePolicies(msgspec.Struct, frozen=True, dict=True):
    """`rights` are commands by role, before row level security, and `whole` those that are not on single columns."""

    policies: tuple[PolicyRecord, ...]
    rights: dict[str, tuple[str, ...]]
    whole: dict[str, tuple[str, ...]]
    columns: tuple[ScannedColumn, ...]
    has_insert_trigger: bool
    has_update_trigger: bool

    @cached_property
    def not_null(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns if column.is_not_null)

    @cached_property
    def owner_columns(self) -> Sequence[ScannedColumn]:
        return [column for column in self.columns if column.names_owner]

    def assess(self, policy: PolicyRecord, command: str) -> PolicyShape:
        return assess_expression(policy.find_expression(command), self.not_null)

    def may_use(self, role: str, column: ScannedColumn, command: str) -> bool:
        """Whether the role has the right on the column, by the table or by itself."""
        return command in self.whole.get(role, ()) or command in (column.granted or {}).get(role, ())

    def list_sensitive(self, roles: Sequence[str]) -> list[str]:
        """Columns that one of `roles` may read."""
        return [
            one.name
            for one in self.columns
            if is_sensitive_name(one.name) and any(self.may_use(role, one, "select") for role in roles)
        ]

    def has_secret_grant(self, roles: Sequence[str]) -> bool:
        """Where sensitive columns are read by grants on them alone, another rule says it."""
        is_whole = any("select" in self.whole.get(role, ()) for role in roles)
        return not is_whole and bool(self.list_sensitive(roles))


def read_policies(hit: Hit) -> TablePolicies:
    return msgspec.convert(hit.facts, TablePolicies)


def find_caller(role: str) -> PolicyCaller:
    return PolicyCaller.STRANGER if role == "authenticated" else PolicyCaller.SIGNED_OUT
