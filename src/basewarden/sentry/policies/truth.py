"""Whether an expression of a policy is true for a caller, in one line of the truth table of `shape`. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import postgast

from basewarden.sentry.policies.nodes import (
    EQUAL_LIKE,
    OPPOSITE,
    UNEQUAL,
    Node,
    adds_up,
    counts_rows,
    is_simple,
    is_test,
    list_joins,
    list_relations,
    open_node,
)
from basewarden.sentry.policies.values import (
    NULL,
    PolicyValue,
    Truth,
    ValueKind,
    all_true,
    any_true,
    compare_literals,
    make_literal,
    make_truth,
    mark_value,
    negate,
)

_MOST_DEPTH: Final = 60
_MOST_STEPS: Final = 20_000
"""Of one expression, all lines and callers together: some 0.2 s."""


class PolicyCaller(StrEnum):
    """A STRANGER is signed in and owns nothing; a FORGER is one who wrote what suits them into their own metadata."""

    SIGNED_OUT = "signed_out"
    STRANGER = "stranger"
    FORGER = "forger"
    OWNER = "owner"


@dataclass
class ShapeNotes:
    compared: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    """Columns of the row that the subquery at hand compares with its own."""
    reads_user_metadata: bool = False
    asks_who: bool = False
    is_slow: bool = False
    steps: int = 0


class UndecidedError(Exception):
    """The outcome depends on something that this line of the truth table does not say yet."""

    def __init__(self, name: str, *, is_unknown: bool) -> None:
        super().__init__(name)
        self.name = name
        self.is_unknown = is_unknown


_ROLES: Final = {PolicyCaller.SIGNED_OUT: "anon"}
_ARROWS: Final = frozenset({"->", "->>", "#>", "#>>"})
_PATHS: Final = frozenset(
    {"json_extract_path", "json_extract_path_text", "jsonb_extract_path", "jsonb_extract_path_text"}
)
_BUILT_IN: Final = frozenset({"", "pg_catalog"})
_METADATA: Final = frozenset({"user_metadata", "raw_user_meta_data"})
_USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("sub",),
    "email": ("email",),
    "phone": ("phone",),
    "raw_user_meta_data": ("user_metadata",),
    "raw_app_meta_data": ("app_metadata",),
    "role": ("role",),
}
_OWN_CHOICE: Final = {"aal": "aal2", "is_anonymous": "false", "aud": "authenticated"}
"""Claims that everyone gets who signs up."""


@dataclass
class RowEvaluation:
    """One line of the truth table, for one caller."""

    caller: PolicyCaller
    not_null: frozenset[str]
    line: Mapping[str, bool]
    notes: ShapeNotes
    shows_users: bool = False
    """Whether auth.users is what is read, instead of where the caller's own row is looked up."""
    scopes: list[dict[str, str]] = field(default_factory=list)
    """Of the subqueries around: alias to the relation's full name."""
    depth: int = 0

    # Truths

    def test(self, node: Node) -> Truth:
        with self._deeper():
            kind, inner = open_node(node)
            handler = _TRUTHS.get(kind)
            if handler is not None:
                return handler(self, inner)
            if kind == "a_expr" and is_test(inner):
                return self._test_operator(inner)
            return self._test_value(self.read(node))

    def _test_value(self, value: PolicyValue) -> Truth:
        if value.is_null:
            return None
        if isinstance(value.literal, bool):
            return value.literal
        if isinstance(value.literal, str):
            return value.literal.strip().lower() in {"t", "true", "yes", "on", "1"}
        return self._ask_by_kind(value, f"is {value.key}")

    def _ask_by_kind(self, value: PolicyValue, name: str) -> bool:
        if value.is_unknown:
            return self._ask(name, is_unknown=True)
        if value.kind is ValueKind.CLAIM:
            return self.caller is PolicyCaller.OWNER
        if value.kind is ValueKind.METADATA:
            return self.caller in (PolicyCaller.OWNER, PolicyCaller.FORGER)
        return self._ask(name)

    def _ask(self, name: str, *, is_unknown: bool = False) -> bool:
        if name not in self.line:
            raise UndecidedError(name, is_unknown=is_unknown)
        return self.line[name]

    def test_bool(self, node: Node) -> Truth:
        operator = postgast.pg_query_pb2.BoolExprType.Name(node.boolop)
        if operator == "NOT_EXPR":
            return negate(self.test(node.args[0]))
        found = (self.test(arg) for arg in node.args)
        return all_true(found) if operator == "AND_EXPR" else any_true(found)

    def test_null(self, node: Node) -> bool:
        value = self.read(node.arg)
        is_null = value.is_null or self._may_be_null(value)
        asks_for_null: bool = postgast.pg_query_pb2.NullTestType.Name(node.nulltesttype) == "IS_NULL"
        return is_null == asks_for_null

    def _may_be_null(self, value: PolicyValue) -> bool:
        if value.is_unknown:
            return self._ask(f"null {value.key}", is_unknown=True)
        return value.is_nullable and self._ask(f"null {value.key}")

    def test_boolean(self, node: Node) -> bool:
        found = self.test(node.arg)
        name = postgast.pg_query_pb2.BoolTestType.Name(node.booltesttype)
        wanted = None if name.endswith("UNKNOWN") else name.endswith("TRUE")
        return (found is wanted) != ("_NOT_" in name)

    def _test_operator(self, node: Node) -> Truth:
        kind = postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind)
        operator = node.name[-1].string.sval
        if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_IN"):
            return self._test_list(node, kind, operator)
        left, right = self.read(node.lexpr), self.read(node.rexpr)
        if kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
            is_same = self._test_same(left, right)
            return is_same if kind == "AEXPR_NOT_DISTINCT" else not is_same
        return self._compare(operator, left, right)

    def _test_list(self, node: Node, kind: str, operator: str) -> Truth:
        left, elements = self.read(node.lexpr), self._list_elements(node.rexpr)
        if elements is None:
            return self._compare("@>" if operator == "=" else operator, left, self.read(node.rexpr))
        found = (self._compare(operator, left, element) for element in elements)
        is_all = kind == "AEXPR_OP_ALL" or (kind == "AEXPR_IN" and operator == "<>")
        return all_true(found) if is_all else any_true(found)

    def _list_elements(self, node: Node) -> list[PolicyValue] | None:
        kind, inner = open_node(node)
        if kind == "a_array_expr":
            return [self.read(one) for one in inner.elements]
        if kind == "list":
            return [self.read(one) for one in inner.items]
        if kind == "type_cast":
            found = self._list_elements(inner.arg)
            if found is not None or not inner.type_name.array_bounds:
                return found
            text = self.read(inner.arg).literal
            if isinstance(text, str) and text.startswith("{"):
                return [make_literal(one.strip().strip('"')) for one in text.strip("{}").split(",") if one]
        return None

    def _test_same(self, left: PolicyValue, right: PolicyValue) -> bool:
        nulls = [value.is_null or self._may_be_null(value) for value in (left, right)]
        self._note_comparison(left, right)
        if any(nulls):
            return all(nulls)
        return self._compare("=", left, right) is True

    def _compare(self, operator: str, left: PolicyValue, right: PolicyValue) -> Truth:
        self._note_comparison(left, right)
        if left.is_null or right.is_null:
            return None
        if operator in UNEQUAL:
            return negate(self._compare(UNEQUAL[operator], left, right))
        if operator in OPPOSITE:
            return negate(self._compare(OPPOSITE[operator], left, right))
        if operator == ">":
            return self._compare("<", right, left)
        return self._compare_plainly(operator, left, right)

    def _compare_plainly(self, operator: str, left: PolicyValue, right: PolicyValue) -> Truth:
        if left.key == right.key and operator in {"=", "<"}:
            if left.inner is not None:
                self.notes.repeated.add(left.inner)
            return operator == "="
        if left.literal is not None and right.literal is not None:
            found = compare_literals(operator, left.literal, right.literal)
            if found is not None:
                return found
        name = f"{left.key} {operator} {right.key}"
        if operator == "=" and right.key < left.key:
            name = f"{right.key} = {left.key}"
        if left.is_unknown or right.is_unknown:
            return self._ask(name, is_unknown=True)
        if operator in EQUAL_LIKE:
            kinds = {left.kind, right.kind}
            if ValueKind.METADATA in kinds:
                return self.caller in (PolicyCaller.OWNER, PolicyCaller.FORGER)
            if ValueKind.CLAIM in kinds:
                return self.caller is PolicyCaller.OWNER
        return self._ask(name)

    def _note_comparison(self, left: PolicyValue, right: PolicyValue) -> None:
        for one, other in ((left, right), (right, left)):
            if one.kind is not ValueKind.PLAIN or one.is_unknown:
                self.notes.compared |= other.columns
            elif one.inner is not None:
                self.notes.linked |= other.columns

    # Subqueries

    def test_subquery(self, node: Node) -> Truth:
        kind = postgast.pg_query_pb2.SubLinkType.Name(node.sub_link_type)
        select = open_node(node.subselect)[1]
        if kind in _SCALAR:
            return self._test_value(self._read_subquery(node))
        if not is_simple(select) or kind not in ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"):
            return self._ask_subquery(node)
        if kind == "EXISTS_SUBLINK":
            with self._inside(select):
                return adds_up(select) or self._find_rows(select)[0]
        if len(select.target_list) != 1:
            return self._ask_subquery(node)
        left = self.read(node.testexpr)
        with self._inside(select):
            is_found, asks = self._find_rows(select)
            inner = mark_value(self.read(select.target_list[0].res_target.val), asks=asks)
            found = self._compare(node.oper_name[-1].string.sval if node.oper_name else "=", left, inner)
        return found if is_found else kind == "ALL_SUBLINK"

    def _ask_subquery(self, node: Node) -> bool:
        self.notes.asks_who = True
        return self._ask(f"subquery {node}", is_unknown=True)

    def _find_rows(self, select: Node) -> tuple[bool, bool]:
        """Whether it has rows for this caller, and whether it asks who they are."""
        notes = self.notes
        asked_before, notes.asks_who = notes.asks_who, False
        linked_before, notes.linked = notes.linked, set()
        quals = [join.quals for join in list_joins(select.from_clause) if join.HasField("quals")]
        if select.HasField("where_clause"):
            quals.append(select.where_clause)
        try:
            is_found = all_true([self.test(one) for one in quals]) is True
        finally:
            asks = notes.asks_who
            if asks:
                notes.compared |= notes.linked
            notes.asks_who |= asked_before
            notes.linked |= linked_before
        return is_found, asks

    def _read_subquery(self, node: Node) -> PolicyValue:
        select = open_node(node.subselect)[1]
        if not is_simple(select) or len(select.target_list) != 1:
            self.notes.asks_who = True
            return PolicyValue(f"subquery {node}", is_unknown=True)
        target = select.target_list[0].res_target.val
        with self._inside(select):
            is_found, asks = self._find_rows(select)
            value = self.read(target)
        if not select.from_clause:
            return value
        if counts_rows(target):
            return PolicyValue(f"subquery {node}", is_unknown=True)
        return mark_value(value, asks=asks)._replace(inner=None) if is_found else NULL

    @contextmanager
    def _inside(self, select: Node) -> Iterator[None]:
        self.scopes.append(dict(list_relations(select.from_clause)))
        try:
            yield
        finally:
            self.scopes.pop()

    # Values

    def read(self, node: Node) -> PolicyValue:
        with self._deeper():
            kind, inner = open_node(node)
            if kind == "a_expr":
                return make_truth(self._test_operator(inner)) if is_test(inner) else self._read_operator(inner)
            if kind == "sub_link" and postgast.pg_query_pb2.SubLinkType.Name(inner.sub_link_type) in _SCALAR:
                return self._read_subquery(inner)
            handler = _VALUES.get(kind)
            if handler is not None:
                return handler(self, inner)
            if kind in _TRUTHS:
                return make_truth(self.test(node))
            return PolicyValue(f"{kind} {inner}", is_unknown=True)

    def read_constant(self, node: Node) -> PolicyValue:
        if node.isnull:
            return NULL
        kind = node.WhichOneof("val")
        if kind == "boolval":
            return make_literal(node.boolval.boolval)
        if kind == "ival":
            return make_literal(float(node.ival.ival))
        if kind == "fval":
            return make_literal(float(node.fval.fval))
        return make_literal(node.sval.sval if kind == "sval" else str(node))

    def read_cast(self, node: Node) -> PolicyValue:
        value = self.read(node.arg)
        if isinstance(value.literal, str):
            name = node.type_name.names[-1].string.sval
            if name == "bool":
                return make_truth(self._test_value(value))
            if name in {"int2", "int4", "int8", "numeric", "float4", "float8"}:
                try:
                    return make_literal(float(value.literal))
                except ValueError:
                    return value
        return value

    def read_column(self, node: Node) -> PolicyValue:
        names = [one.string.sval for one in node.fields if one.HasField("string")]
        if not names:
            return PolicyValue("row")
        name, alias = names[-1], names[-2] if len(names) > 1 else None
        scope = self._find_scope(alias)
        if scope is None:
            is_nullable = name not in self.not_null
            return PolicyValue(f"row.{name}", columns=frozenset({name}), is_nullable=is_nullable)
        alias, relation = scope
        if relation == "auth.users" and name in _USERS and not self.shows_users:
            return self._read_claim(_USERS[name])
        return PolicyValue(f"{alias}.{name}", is_nullable=True, inner=name)

    def _find_scope(self, alias: str | None) -> tuple[str, str] | None:
        """None for the row of the policy's own table."""
        for scope in reversed(self.scopes):
            if alias is None and len(scope) == 1:
                return next(iter(scope.items()))
            if alias is not None and alias in scope:
                return alias, scope[alias]
        return None

    def read_function(self, node: Node) -> PolicyValue:
        *before, name = [one.string.sval for one in node.funcname]
        schema = before[-1] if before else ""
        arguments = [self.read(one) for one in node.args]
        if schema == "auth" and name in _AUTH:
            return self._read_claim(_AUTH[name])
        if schema not in _BUILT_IN:
            self.notes.asks_who = True
            return self._join(f"{schema}.{name}", arguments)._replace(is_unknown=True, is_null=False)
        if name == "current_setting" and arguments:
            return self._read_setting(str(arguments[0].literal))
        if name in _PATHS and arguments and arguments[0].path is not None:
            steps = (self._list_elements(node.args[-1]) if node.func_variadic else None) or arguments[1:]
            return self._read_claim((*arguments[0].path, *(str(one.literal) for one in steps)))
        if name in _NEVER_NULL:
            return self._join(name, [part for part in arguments if not part.is_null])._replace(is_nullable=False)
        if name in _CONTEXT:
            self.notes.asks_who = True
            return self._join(name, arguments)._replace(is_unknown=True)
        return self._join(name, arguments)

    def _join(self, name: str, parts: Sequence[PolicyValue]) -> PolicyValue:
        """What follows from `parts`, and is NULL where one of them is."""
        if any(part.is_null for part in parts):
            return NULL
        kinds = {part.kind for part in parts}
        kind = next((one for one in (ValueKind.METADATA, ValueKind.CLAIM) if one in kinds), ValueKind.PLAIN)
        return PolicyValue(
            f"{name}({', '.join(part.key for part in parts)})",
            kind,
            columns=frozenset[str]().union(*(part.columns for part in parts)),
            is_unknown=any(part.is_unknown for part in parts),
            is_nullable=any(part.is_nullable for part in parts),
            path=next((part.path for part in parts if part.path is not None), None) if name in _SAME else None,
        )

    def _read_setting(self, name: str) -> PolicyValue:
        if name == "request.jwt.claims":
            return self._read_claim(())
        if name.startswith("request.jwt.claim."):
            return self._read_claim((name.removeprefix("request.jwt.claim."),))
        self.notes.asks_who = True
        if name.startswith("request."):
            return PolicyValue(f"setting {name}", is_unknown=True)
        return NULL if self.caller is PolicyCaller.SIGNED_OUT else PolicyValue(f"setting {name}", ValueKind.CLAIM)

    def _read_claim(self, path: tuple[str, ...]) -> PolicyValue:
        self.notes.asks_who = True
        if not self.scopes:
            self.notes.is_slow = True
        key = f"claim {'.'.join(path)}"
        if path == ("role",):
            return make_literal(_ROLES.get(self.caller, "authenticated"))
        if not path:
            return PolicyValue(key, ValueKind.CLAIM, path=path)
        if path[0] in _METADATA:
            self.notes.reads_user_metadata = True
        if self.caller is PolicyCaller.SIGNED_OUT:
            return NULL
        if path[0] in _OWN_CHOICE and len(path) == 1:
            return make_literal(_OWN_CHOICE[path[0]])
        return PolicyValue(key, ValueKind.METADATA if path[0] in _METADATA else ValueKind.CLAIM, path=path)

    def _read_operator(self, node: Node) -> PolicyValue:
        operator = node.name[-1].string.sval
        if postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind) == "AEXPR_NULLIF":
            left, right = self.read(node.lexpr), self.read(node.rexpr)
            is_same = left.literal is not None and left.literal == right.literal
            return NULL if left.is_null or is_same else left
        parts = [self.read(one) for one in (node.lexpr, node.rexpr) if one.ByteSize()]
        if operator in _ARROWS and parts[0].path is not None and isinstance(parts[-1].literal, str):
            step = parts[-1].literal
            steps = step.strip("{}").replace('"', "").split(",") if operator.startswith("#") else [step]
            return self._read_claim((*parts[0].path, *(one.strip() for one in steps)))
        return self._join(operator, parts)

    def read_indirection(self, node: Node) -> PolicyValue:
        value = self.read(node.arg)
        steps = [self.read(one.a_indices.uidx) for one in node.indirection if one.HasField("a_indices")]
        if value.path is not None and steps and all(isinstance(step.literal, str) for step in steps):
            return self._read_claim((*value.path, *(str(step.literal) for step in steps)))
        return self._join("element", [value, *steps])

    def read_coalesce(self, node: Node) -> PolicyValue:
        parts = [value for value in (self.read(arg) for arg in node.args) if not value.is_null]
        if not parts:
            return NULL
        if not parts[0].is_nullable and not parts[0].is_unknown:
            return parts[0]
        return self._join("coalesce", parts)._replace(is_nullable=all(part.is_nullable for part in parts))

    def read_case(self, node: Node) -> PolicyValue:
        for when in node.args:
            case = when.case_when
            if node.HasField("arg"):
                is_met = self._compare("=", self.read(node.arg), self.read(case.expr))
            else:
                is_met = self.test(case.expr)
            if is_met is True:
                return self.read(case.result)
        return self.read(node.defresult) if node.HasField("defresult") else NULL

    def read_list(self, node: Node) -> PolicyValue:
        return self._join("array", [self.read(element) for element in node.elements])

    def read_keyword(self, node: Node) -> PolicyValue:
        name = postgast.pg_query_pb2.SQLValueFunctionOp.Name(node.op)
        if name in {"SVFOP_CURRENT_USER", "SVFOP_CURRENT_ROLE", "SVFOP_USER"}:
            self.notes.asks_who = True
            return make_literal(_ROLES.get(self.caller, "authenticated"))
        return PolicyValue(name)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self.depth += 1
        self.notes.steps += 1
        if self.depth > _MOST_DEPTH or self.notes.steps > _MOST_STEPS:
            raise ValueError("too long")
        try:
            yield
        finally:
            self.depth -= 1


_SCALAR: Final = frozenset({"EXPR_SUBLINK", "ARRAY_SUBLINK"})
_NEVER_NULL: Final = frozenset({"concat", "concat_ws", "json_build_object", "jsonb_build_object", "num_nulls"})
_AUTH: Final[Mapping[str, tuple[str, ...]]] = {"uid": ("sub",), "role": ("role",), "email": ("email",), "jwt": ()}
_CONTEXT: Final = frozenset({"pg_has_role", "has_table_privilege", "row_security_active", "inet_client_addr"})
_SAME: Final = frozenset({"to_jsonb", "to_json", "jsonb", "json"})
"""Functions that give the claims back as they are."""
_TRUTHS: Final[Mapping[str, Callable[[RowEvaluation, Node], Truth]]] = {
    "bool_expr": RowEvaluation.test_bool,
    "null_test": RowEvaluation.test_null,
    "boolean_test": RowEvaluation.test_boolean,
    "sub_link": RowEvaluation.test_subquery,
}
_VALUES: Final[Mapping[str, Callable[[RowEvaluation, Node], PolicyValue]]] = {
    "a_const": RowEvaluation.read_constant,
    "type_cast": RowEvaluation.read_cast,
    "column_ref": RowEvaluation.read_column,
    "func_call": RowEvaluation.read_function,
    "a_indirection": RowEvaluation.read_indirection,
    "coalesce_expr": RowEvaluation.read_coalesce,
    "case_expr": RowEvaluation.read_case,
    "a_array_expr": RowEvaluation.read_list,
    "sqlvalue_function": RowEvaluation.read_keyword,
}
