"""The state of an object that strangers no longer reach, and who reaches it."""

from collections.abc import Collection
from hashlib import md5
from typing import Final

import msgspec
import postgast
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it brings no types

from basewarden.sentry.access.acl import take_away
from basewarden.sentry.access.reading import BUCKET_POLICY
from basewarden.sentry.access.state import RELATIONS, AccessKind, AccessState, PolicyState
from basewarden.sentry.policies.nodes import Node, open_node
from pgrest import Statement, array_literal, quote_literal

API_ROLES: Final = ("anon", "authenticated")
READ_API_ROLES: Final = Statement("SELECT rolname::text FROM pg_roles WHERE rolname IN ('anon', 'authenticated')")
_OF_RELATION: Final = (
    "has_any_column_privilege(r.name, $2::oid, 'SELECT, INSERT, UPDATE, REFERENCES')"
    " OR has_table_privilege(r.name, $2::oid, 'DELETE, TRUNCATE, TRIGGER')"
)
_OF_OTHERS: Final = {
    AccessKind.SEQUENCE: "has_sequence_privilege(r.name, $2::oid, 'USAGE, SELECT, UPDATE')",
    AccessKind.FUNCTION: "has_function_privilege(r.name, $2::oid, 'EXECUTE')",
}


def close_state(state: AccessState, roles: Collection[str]) -> AccessState:
    """Without what PUBLIC and `roles` have; a bucket is private, and a policy keeps its objects from them."""
    if state.kind is AccessKind.BUCKET:
        policy = _make_bucket_policy(state.name, roles)
        return msgspec.structs.replace(state, is_public=False, policies=(policy,))
    closed: tuple[str | None, ...] = (None, *roles)
    acl = take_away(state.owner, state.acl, closed)
    columns = {name: take_away(state.owner, one, closed, acl) for name, one in state.columns.items()}
    return msgspec.structs.replace(
        state,
        is_default=state.is_default and acl == state.acl,
        acl=acl,
        columns={name: one for name, one in columns.items() if one},
    )


def _make_bucket_policy(bucket: str, roles: Collection[str]) -> PolicyState:
    name = BUCKET_POLICY + md5(bucket.encode(), usedforsecurity=False).hexdigest()
    condition = f"(bucket_id <> {quote_literal(bucket)}::text)"
    return PolicyState(
        name, "ALL", is_permissive=False, roles=tuple(sorted(roles)) or (None,), using=condition, check=condition
    )


def read_reach(state: AccessState, roles: Collection[str]) -> Statement | None:
    """Those of the roles that reach it by the catalog, however; PUBLIC where there are none. None for a bucket."""
    if state.kind is AccessKind.BUCKET:
        return None
    condition = _OF_RELATION if state.kind in RELATIONS else _OF_OTHERS[state.kind]
    names = array_literal(roles or ("public",)).encode()
    sql = f"SELECT r.name FROM unnest($1::text[]) AS r(name) WHERE {condition} ORDER BY 1"
    return Statement(sql, (names, str(state.oid).encode()))


def is_bucket_closed(state: AccessState, roles: Collection[str]) -> bool:
    """A policy of the quarantine's name counts only while it says what the quarantine made it say."""
    wanted = _make_bucket_policy(state.name, roles)
    return state.has_rls and not state.is_public and any(_is_as_strict(one, wanted) for one in state.policies)


def _is_as_strict(policy: PolicyState, wanted: PolicyState) -> bool:
    is_for_all = policy.command == wanted.command and not policy.is_permissive
    reaches = None in policy.roles or set(wanted.roles) <= set(policy.roles)
    bucket = read_excluded(wanted.using)
    excludes = bucket is not None and read_excluded(policy.using) == read_excluded(policy.check) == bucket
    return is_for_all and reaches and excludes


def read_excluded(condition: str | None) -> str | None:
    """The one bucket whose objects a condition excludes, `bucket_id <> 'a'`; None for any other condition."""
    try:
        (statement,) = postgast.parse(f"SELECT {condition or 'NULL'}").stmts
        (target,) = statement.stmt.select_stmt.target_list
        kind, node = open_node(target.res_target.val)
        is_plain = kind == "a_expr" and postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind) == "AEXPR_OP"
        if not is_plain or [one.string.sval for one in node.name] not in (["<>"], ["pg_catalog", "<>"]):
            return None
        (left_kind, left), (right_kind, right) = (_open_text(one) for one in (node.lexpr, node.rexpr))
    except (postgast.PgQueryError, DecodeError, ValueError, RecursionError):
        return None
    is_column = left_kind == "column_ref" and [one.string.sval for one in left.fields][-1:] == ["bucket_id"]
    is_text = right_kind == "a_const" and right.WhichOneof("val") == "sval"
    return right.sval.sval if is_column and is_text else None


def _open_text(node: Node) -> tuple[str, Node]:
    """Without casts to a text of any length, which follow from the type of the column."""
    kind, inner = open_node(node)
    while kind == "type_cast":
        names = tuple(one.string.sval for one in inner.type_name.names)
        if names not in _TEXTS or inner.type_name.typmods or inner.type_name.array_bounds:
            raise ValueError("a cast to another type")
        kind, inner = open_node(inner.arg)
    return kind, inner


def list_cut_off(before: AccessState, after: AccessState) -> list[str | None]:
    """The roles with rights of their own before, which have fewer after; None is PUBLIC."""
    lost: dict[str | None, None] = {}
    pairs = [(before.acl, after.acl), *((acl, after.columns.get(name, ())) for name, acl in before.columns.items())]
    for had, has in pairs:
        left = {(entry.grantee, entry.grantor, right) for entry in has for right in entry.rights}
        for entry in had:
            if any((entry.grantee, entry.grantor, right) not in left for right in entry.rights):
                lost[entry.grantee] = None
    return list(lost)


_TEXTS: Final = frozenset({("text",), ("pg_catalog", "text"), ("pg_catalog", "varchar")})
_DEPENDENTS: Final = """
SELECT 'view', n.nspname || '.' || c.relname FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
  AND d.objid = w.oid AND d.refclassid = $2::text::regclass AND d.refobjid = $1::oid
JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND c.oid <> $1::oid
UNION SELECT 'function', n.nspname || '.' || f.proname FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND f.oid <> $1::oid
  AND position(lower($3::text) IN lower(f.prosrc)) > 0
UNION SELECT 'function', n.nspname || '.' || f.proname FROM pg_depend d JOIN pg_proc f ON f.oid = d.objid
JOIN pg_namespace n ON n.oid = f.pronamespace WHERE d.classid = 'pg_proc'::regclass
  AND d.refclassid = $2::text::regclass AND d.refobjid = $1::oid
UNION SELECT 'parent', n.nspname || '.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhrelid = $1::oid AND $2::text = 'pg_class'
UNION SELECT 'child', n.nspname || '.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = $1::oid AND $2::text = 'pg_class'
ORDER BY 1, 2 LIMIT 50"""


def read_dependents(state: AccessState) -> Statement | None:
    """What kind of thing uses it, and its name: functions also where their text only contains its name."""
    if state.kind is AccessKind.BUCKET:
        return None
    catalog = "pg_proc" if state.kind is AccessKind.FUNCTION else "pg_class"
    return Statement(_DEPENDENTS, (str(state.oid).encode(), catalog.encode(), state.name.encode()))
