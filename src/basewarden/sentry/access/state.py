"""Who may reach one object, as the catalog says it: compared by value and stored as JSON."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from basewarden.sentry.rule import ObjectType, ScannedObject
from pgrest import quote_ident


class AccessKind(StrEnum):
    """As SQL calls it."""

    TABLE = "table"
    FOREIGN_TABLE = "foreign table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    SEQUENCE = "sequence"
    FUNCTION = "routine"
    SCHEMA = "schema"
    BUCKET = "bucket"
    DEFAULTS = "default privileges"


class AccessKey(NamedTuple):
    """Which object. `arguments` are a function's, as the catalog spells them.

    Default privileges are named by whose objects get them, and `arguments` says which kind of objects.
    """

    kind: AccessKind
    schema: str
    name: str
    arguments: str | None = None


class AclEntry(msgspec.Struct, frozen=True):
    """What one role has from another. Without a grantee it is PUBLIC's; `grantable` are those it may grant further."""

    grantee: str | None
    grantor: str
    rights: tuple[str, ...]
    grantable: tuple[str, ...] = ()


Acl = tuple[AclEntry, ...]
"""In the catalog's order."""


class PolicyState(msgspec.Struct, frozen=True):
    """`roles` has None for PUBLIC. The expressions are texts with every name qualified."""

    name: str
    command: str
    is_permissive: bool
    roles: tuple[str | None, ...]
    using: str | None
    check: str | None
    comment: str | None = None


class AccessState(msgspec.Struct, frozen=True):
    """`is_default`: no grant was ever written, and `acl` is what that means. `columns` has those with own grants.

    `oid` tells an object from another that was made under its name. Of a bucket, `is_public` is its own; row level
    security and the policy are those that a quarantine needs on `storage.objects`.
    """

    kind: AccessKind
    schema: str
    name: str
    arguments: str | None
    oid: int
    owner: str
    is_default: bool = False
    acl: Acl = ()
    columns: dict[str, Acl] = {}
    has_rls: bool = False
    forces_rls: bool = False
    policies: tuple[PolicyState, ...] = ()
    options: tuple[str, ...] = ()
    replica_identity: str | None = None
    is_public: bool | None = None

    @property
    def key(self) -> AccessKey:
        return AccessKey(self.kind, self.schema, self.name, self.arguments)


RELATIONS: Final = frozenset(
    {AccessKind.TABLE, AccessKind.FOREIGN_TABLE, AccessKind.VIEW, AccessKind.MATERIALIZED_VIEW}
)
_WORDS: Final = {AccessKind.FUNCTION: "function", AccessKind.BUCKET: "bucket"}
_TYPES: Final = {
    ObjectType.TABLE: (AccessKind.TABLE, AccessKind.FOREIGN_TABLE),
    ObjectType.VIEW: (AccessKind.VIEW, AccessKind.MATERIALIZED_VIEW),
    ObjectType.FUNCTION: (AccessKind.FUNCTION,),
    ObjectType.SEQUENCE: (AccessKind.SEQUENCE,),
    ObjectType.BUCKET: (AccessKind.BUCKET,),
}


def list_keys(found: ScannedObject) -> Sequence[AccessKey]:
    """Those that it may have: a rule does not say which kind of view. Empty for what has no access of its own."""
    return [AccessKey(kind, found.schema, found.name, found.arguments) for kind in _TYPES.get(found.type, ())]


def name_kind(kind: AccessKind) -> str:
    """For sentences."""
    return _WORDS.get(kind, kind.value)


def name_state(state: AccessState) -> str:
    """For sentences: with its schema, a function with its arguments."""
    if state.kind is AccessKind.DEFAULTS:
        where = f" in {state.schema}" if state.schema else ""
        return f"default privileges on {state.arguments} of {state.name}{where}"
    name = f"{state.schema}.{state.name}" if state.schema else state.name
    return f"{name_kind(state.kind)} {name}" + (f"({state.arguments})" if state.arguments is not None else "")


def quote_state(state: AccessState) -> str:
    """As SQL names it."""
    name = f"{quote_ident(state.schema)}.{quote_ident(state.name)}" if state.schema else quote_ident(state.name)
    return name if state.arguments is None else f"{name}({state.arguments})"


def is_same_access(one: AccessState, other: AccessState) -> bool:
    """Whether everyone may do the same: in any order of grants, and with the default written out or not."""
    return bool(_neutral(one) == _neutral(other))


def _neutral(state: AccessState) -> Any:
    columns = {name: frozenset(entries) for name, entries in state.columns.items()}
    bare = msgspec.structs.replace(state, is_default=False, acl=(), columns={}, options=tuple(sorted(state.options)))
    return bare, frozenset(state.acl), columns


def encode_states(states: Iterable[AccessState]) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = msgspec.to_builtins(list(states))
    return encoded


def decode_states(stored: Any) -> list[AccessState]:
    return msgspec.convert(stored, list[AccessState], strict=False)
