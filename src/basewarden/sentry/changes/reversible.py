"""Whether what a fix does is part of what we can put back. Judged on the parse tree. Pure."""

from typing import Any, Final

import postgast

from basewarden.sentry.policies.nodes import open_node

_ALTERATIONS: Final = frozenset(
    {
        "AT_EnableRowSecurity",
        "AT_DisableRowSecurity",
        "AT_ForceRowSecurity",
        "AT_NoForceRowSecurity",
        "AT_SetRelOptions",
        "AT_ResetRelOptions",
        "AT_ReplicaIdentity",
    }
)
_GRANTED: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_SEQUENCE", "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_SCHEMA"}
)
_TREE: Final = postgast.pg_query_pb2


def is_reversible(sql: str) -> bool:
    """Whether it grants, revokes, or changes row level security, policies and options, and does nothing else."""
    statements = postgast.parse(sql).stmts
    return bool(statements) and all(_is_access(*open_node(one.stmt)) for one in statements)


def _is_access(kind: str, node: Any) -> bool:
    match kind:
        case "grant_stmt":
            return _TREE.ObjectType.Name(node.objtype) in _GRANTED
        case "alter_table_stmt":
            commands = (open_node(one)[1] for one in node.cmds)
            return all(_TREE.AlterTableType.Name(one.subtype) in _ALTERATIONS for one in commands)
        case "alter_function_stmt":
            return all(open_node(one)[1].defname == "set" for one in node.actions)
        case "drop_stmt":
            return bool(_TREE.ObjectType.Name(node.remove_type) == "OBJECT_POLICY")
    return kind in ("create_policy_stmt", "alter_policy_stmt", "alter_default_privileges_stmt")
