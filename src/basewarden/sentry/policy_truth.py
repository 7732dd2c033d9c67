"""Whether an expression of a policy is true for a caller, in one line of the truth table of policy_shape. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

import postgast

Truth = bool | None
Constant = bool | float | str
Node = Any
"""Of libpg_query, which has no types of its own."""
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


class _Kind(Enum):
    PLAIN = "plain"
    CLAIM = "claim"
    METADATA = "metadata"
    """What users write about themselves."""


class _Value(NamedTuple):
    """`key` is the same for the same value. `literal` is a constant's, and None where there is none."""

    key: str
    kind: _Kind = _Kind.PLAIN
    literal: Constant | None = None
    is_null: bool = False
    columns: frozenset[str] = frozenset()
    is_unknown: bool = False
    is_nullable: bool = False
    path: tuple[str, ...] | None = None
    """Into the claims, where the value is they or a part of them."""
    inner: str | None = None
    """A subquery's column."""


_NULL = _Value("null", is_null=True)
_ROLES: Final = {PolicyCaller.SIGNED_OUT: "anon"}
_EQUAL_LIKE: Final = frozenset({"=", "@>", "<@", "&&", "?", "?|", "?&", "~~", "~~*", "~", "~*", "@@", "^@"})
_UNEQUAL: Final = {"<>": "=", "!=": "=", "!~~": "~~", "!~~*": "~~*", "!~": "~", "!~*": "~*"}
_OPPOSITE: Final = {">=": "<", "<=": ">"}
_TESTS: Final = _EQUAL_LIKE | _UNEQUAL.keys() | _OPPOSITE.keys() | {"<", ">"}
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
            kind, inner = _open_node(node)
            handler = _TRUTHS.get(kind)
            if handler is not None:
                return handler(self, inner)
            if kind == "a_expr" and _is_test(inner):
                return self._test_operator(inner)
            return self._test_value(self.read(node))

    def _test_value(self, value: _Value) -> Truth:
        if value.is_null:
            return None
        if isinstance(value.literal, bool):
            return value.literal
        if isinstance(value.literal, str):
            return value.literal.strip().lower() in {"t", "true", "yes", "on", "1"}
        return self._ask_by_kind(value, f"is {value.key}")

    def _ask_by_kind(self, value: _Value, name: str) -> bool:
        if value.is_unknown:
            return self._ask(name, is_unknown=True)
        if value.kind is _Kind.CLAIM:
            return self.caller is PolicyCaller.OWNER
        if value.kind is _Kind.METADATA:
            return self.caller in (PolicyCaller.OWNER, PolicyCaller.FORGER)
        return self._ask(name)

    def _ask(self, name: str, *, is_unknown: bool = False) -> bool:
        if name not in self.line:
            raise UndecidedError(name, is_unknown=is_unknown)
        return self.line[name]

    def test_bool(self, node: Node) -> Truth:
        operator = postgast.pg_query_pb2.BoolExprType.Name(node.boolop)
        if operator == "NOT_EXPR":
            return _negate(self.test(node.args[0]))
        found = (self.test(arg) for arg in node.args)
        return _all(found) if operator == "AND_EXPR" else _any(found)

    def test_null(self, node: Node) -> bool:
        value = self.read(node.arg)
        is_null = value.is_null or self._may_be_null(value)
        asks_for_null: bool = postgast.pg_query_pb2.NullTestType.Name(node.nulltesttype) == "IS_NULL"
        return is_null == asks_for_null

    def _may_be_null(self, value: _Value) -> bool:
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
        return _all(found) if is_all else _any(found)

    def _list_elements(self, node: Node) -> list[_Value] | None:
        kind, inner = _open_node(node)
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
                return [_make_literal(one.strip().strip('"')) for one in text.strip("{}").split(",") if one]
        return None

    def _test_same(self, left: _Value, right: _Value) -> bool:
        nulls = [value.is_null or self._may_be_null(value) for value in (left, right)]
        self._note_comparison(left, right)
        if any(nulls):
            return all(nulls)
        return self._compare("=", left, right) is True

    def _compare(self, operator: str, left: _Value, right: _Value) -> Truth:
        self._note_comparison(left, right)
        if left.is_null or right.is_null:
            return None
        if operator in _UNEQUAL:
            return _negate(self._compare(_UNEQUAL[operator], left, right))
        if operator in _OPPOSITE:
            return _negate(self._compare(_OPPOSITE[operator], left, right))
        if operator == ">":
            return self._compare("<", right, left)
        return self._compare_plainly(operator, left, right)

    def _compare_plainly(self, operator: str, left: _Value, right: _Value) -> Truth:
        if left.key == right.key and operator in {"=", "<"}:
            if left.inner is not None:
                self.notes.repeated.add(left.inner)
            return operator == "="
        if left.literal is not None and right.literal is not None:
            found = _compare_literals(operator, left.literal, right.literal)
            if found is not None:
                return found
        name = f"{left.key} {operator} {right.key}"
        if operator == "=" and right.key < left.key:
            name = f"{right.key} = {left.key}"
        if left.is_unknown or right.is_unknown:
            return self._ask(name, is_unknown=True)
        if operator in _EQUAL_LIKE:
            kinds = {left.kind, right.kind}
            if _Kind.METADATA in kinds:
                return self.caller in (PolicyCaller.OWNER, PolicyCaller.FORGER)
            if _Kind.CLAIM in kinds:
                return self.caller is PolicyCaller.OWNER
        return self._ask(name)

    def _note_comparison(self, left: _Value, right: _Value) -> None:
        for one, other in ((left, right), (right, left)):
            if one.kind is not _Kind.PLAIN or one.is_unknown:
                self.notes.compared |= other.columns
            elif one.inner is not None:
                self.notes.linked |= other.columns

    # Subqueries

    def test_subquery(self, node: Node) -> Truth:
        kind = postgast.pg_query_pb2.SubLinkType.Name(node.sub_link_type)
        select = _open_node(node.subselect)[1]
        if kind in _SCALAR:
            return self._test_value(self._read_subquery(node))
        if not _is_simple(select) or kind not in ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"):
            return self._ask_subquery(node)
        if kind == "EXISTS_SUBLINK":
            with self._inside(select):
                return _adds_up(select) or self._find_rows(select)[0]
        if len(select.target_list) != 1:
            return self._ask_subquery(node)
        left = self.read(node.testexpr)
        with self._inside(select):
            is_found, asks = self._find_rows(select)
            inner = _mark(self.read(select.target_list[0].res_target.val), asks=asks)
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
        quals = [join.quals for join in _list_joins(select.from_clause) if join.HasField("quals")]
        if select.HasField("where_clause"):
            quals.append(select.where_clause)
        try:
            is_found = _all([self.test(one) for one in quals]) is True
        finally:
            asks = notes.asks_who
            if asks:
                notes.compared |= notes.linked
            notes.asks_who |= asked_before
            notes.linked |= linked_before
        return is_found, asks

    def _read_subquery(self, node: Node) -> _Value:
        select = _open_node(node.subselect)[1]
        if not _is_simple(select) or len(select.target_list) != 1:
            self.notes.asks_who = True
            return _Value(f"subquery {node}", is_unknown=True)
        target = select.target_list[0].res_target.val
        with self._inside(select):
            is_found, asks = self._find_rows(select)
            value = self.read(target)
        if not select.from_clause:
            return value
        if _counts(target):
            return _Value(f"subquery {node}", is_unknown=True)
        return _mark(value, asks=asks)._replace(inner=None) if is_found else _NULL

    @contextmanager
    def _inside(self, select: Node) -> Iterator[None]:
        self.scopes.append(dict(_list_relations(select.from_clause)))
        try:
            yield
        finally:
            self.scopes.pop()

    # Values

    def read(self, node: Node) -> _Value:
        with self._deeper():
            kind, inner = _open_node(node)
            if kind == "a_expr":
                return _make_truth(self._test_operator(inner)) if _is_test(inner) else self._read_operator(inner)
            if kind == "sub_link" and postgast.pg_query_pb2.SubLinkType.Name(inner.sub_link_type) in _SCALAR:
                return self._read_subquery(inner)
            handler = _VALUES.get(kind)
            if handler is not None:
                return handler(self, inner)
            if kind in _TRUTHS:
                return _make_truth(self.test(node))
            return _Value(f"{kind} {inner}", is_unknown=True)

    def read_constant(self, node: Node) -> _Value:
        if node.isnull:
            return _NULL
        kind = node.WhichOneof("val")
        if kind == "boolval":
            return _make_literal(node.boolval.boolval)
        if kind == "ival":
            return _make_literal(float(node.ival.ival))
        if kind == "fval":
            return _make_literal(float(node.fval.fval))
        return _make_literal(node.sval.sval if kind == "sval" else str(node))

    def read_cast(self, node: Node) -> _Value:
        value = self.read(node.arg)
        if isinstance(value.literal, str):
            name = node.type_name.names[-1].string.sval
            if name == "bool":
                return _make_truth(self._test_value(value))
            if name in {"int2", "int4", "int8", "numeric", "float4", "float8"}:
                try:
                    return _make_literal(float(value.literal))
                except ValueError:
                    return value
        return value

    def read_column(self, node: Node) -> _Value:
        names = [one.string.sval for one in node.fields if one.HasField("string")]
        if not names:
            return _Value("row")
        name, alias = names[-1], names[-2] if len(names) > 1 else None
        scope = self._find_scope(alias)
        if scope is None:
            is_nullable = name not in self.not_null
            return _Value(f"row.{name}", columns=frozenset({name}), is_nullable=is_nullable)
        alias, relation = scope
        if relation == "auth.users" and name in _USERS and not self.shows_users:
            return self._read_claim(_USERS[name])
        return _Value(f"{alias}.{name}", is_nullable=True, inner=name)

    def _find_scope(self, alias: str | None) -> tuple[str, str] | None:
        """None for the row of the policy's own table."""
        for scope in reversed(self.scopes):
            if alias is None and len(scope) == 1:
                return next(iter(scope.items()))
            if alias is not None and alias in scope:
                return alias, scope[alias]
        return None

    def read_function(self, node: Node) -> _Value:
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

    def _join(self, name: str, parts: Sequence[_Value]) -> _Value:
        """What follows from `parts`, and is NULL where one of them is."""
        if any(part.is_null for part in parts):
            return _NULL
        kinds = {part.kind for part in parts}
        kind = next((one for one in (_Kind.METADATA, _Kind.CLAIM) if one in kinds), _Kind.PLAIN)
        return _Value(
            f"{name}({', '.join(part.key for part in parts)})",
            kind,
            columns=frozenset[str]().union(*(part.columns for part in parts)),
            is_unknown=any(part.is_unknown for part in parts),
            is_nullable=any(part.is_nullable for part in parts),
            path=next((part.path for part in parts if part.path is not None), None) if name in _SAME else None,
        )

    def _read_setting(self, name: str) -> _Value:
        if name == "request.jwt.claims":
            return self._read_claim(())
        if name.startswith("request.jwt.claim."):
            return self._read_claim((name.removeprefix("request.jwt.claim."),))
        self.notes.asks_who = True
        if name.startswith("request."):
            return _Value(f"setting {name}", is_unknown=True)
        return _NULL if self.caller is PolicyCaller.SIGNED_OUT else _Value(f"setting {name}", _Kind.CLAIM)

    def _read_claim(self, path: tuple[str, ...]) -> _Value:
        self.notes.asks_who = True
        if not self.scopes:
            self.notes.is_slow = True
        key = f"claim {'.'.join(path)}"
        if path == ("role",):
            return _make_literal(_ROLES.get(self.caller, "authenticated"))
        if not path:
            return _Value(key, _Kind.CLAIM, path=path)
        if path[0] in _METADATA:
            self.notes.reads_user_metadata = True
        if self.caller is PolicyCaller.SIGNED_OUT:
            return _NULL
        if path[0] in _OWN_CHOICE and len(path) == 1:
            return _make_literal(_OWN_CHOICE[path[0]])
        return _Value(key, _Kind.METADATA if path[0] in _METADATA else _Kind.CLAIM, path=path)

    def _read_operator(self, node: Node) -> _Value:
        operator = node.name[-1].string.sval
        if postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind) == "AEXPR_NULLIF":
            left, right = self.read(node.lexpr), self.read(node.rexpr)
            is_same = left.literal is not None and left.literal == right.literal
            return _NULL if left.is_null or is_same else left
        parts = [self.read(one) for one in (node.lexpr, node.rexpr) if one.ByteSize()]
        if operator in _ARROWS and parts[0].path is not None and isinstance(parts[-1].literal, str):
            step = parts[-1].literal
            steps = step.strip("{}").replace('"', "").split(",") if operator.startswith("#") else [step]
            return self._read_claim((*parts[0].path, *(one.strip() for one in steps)))
        return self._join(operator, parts)

    def read_indirection(self, node: Node) -> _Value:
        value = self.read(node.arg)
        steps = [self.read(one.a_indices.uidx) for one in node.indirection if one.HasField("a_indices")]
        if value.path is not None and steps and all(isinstance(step.literal, str) for step in steps):
            return self._read_claim((*value.path, *(str(step.literal) for step in steps)))
        return self._join("element", [value, *steps])

    def read_coalesce(self, node: Node) -> _Value:
        parts = [value for value in (self.read(arg) for arg in node.args) if not value.is_null]
        if not parts:
            return _NULL
        if not parts[0].is_nullable and not parts[0].is_unknown:
            return parts[0]
        return self._join("coalesce", parts)._replace(is_nullable=all(part.is_nullable for part in parts))

    def read_case(self, node: Node) -> _Value:
        for when in node.args:
            case = when.case_when
            if node.HasField("arg"):
                is_met = self._compare("=", self.read(node.arg), self.read(case.expr))
            else:
                is_met = self.test(case.expr)
            if is_met is True:
                return self.read(case.result)
        return self.read(node.defresult) if node.HasField("defresult") else _NULL

    def read_list(self, node: Node) -> _Value:
        return self._join("array", [self.read(element) for element in node.elements])

    def read_keyword(self, node: Node) -> _Value:
        name = postgast.pg_query_pb2.SQLValueFunctionOp.Name(node.op)
        if name in {"SVFOP_CURRENT_USER", "SVFOP_CURRENT_ROLE", "SVFOP_USER"}:
            self.notes.asks_who = True
            return _make_literal(_ROLES.get(self.caller, "authenticated"))
        return _Value(name)

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


def _open_node(node: Node) -> tuple[str, Node]:
    kind = node.WhichOneof("node")
    if kind is None:
        raise ValueError("an empty node")
    return kind, getattr(node, kind)


def _is_test(node: Node) -> bool:
    kind = postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind)
    return kind in _TEST_KINDS or (kind == "AEXPR_OP" and node.name[-1].string.sval in _TESTS)


def _is_simple(select: Node) -> bool:
    """Neither a set operation nor one with a CTE, and with all its rows."""
    is_plain = postgast.pg_query_pb2.SetOperation.Name(select.op) == "SETOP_NONE"
    return is_plain and not select.HasField("with_clause") and not select.HasField("having_clause")


def _counts(target: Node) -> bool:
    kind, inner = _open_node(target)
    return kind == "func_call" and inner.funcname[-1].string.sval in {"count", "exists"}


def _adds_up(select: Node) -> bool:
    """An aggregate of no row is a row."""
    targets = [_open_node(target.res_target.val) for target in select.target_list]
    names = [inner.funcname[-1].string.sval for kind, inner in targets if kind == "func_call"]
    return not select.group_clause and not _AGGREGATES.isdisjoint(names)


def _list_relations(items: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Alias and full name."""
    for item in items:
        kind, inner = _open_node(item)
        if kind == "range_var":
            name = f"{inner.schemaname}.{inner.relname}" if inner.schemaname else inner.relname
            yield (inner.alias.aliasname or inner.relname), name
        elif kind == "join_expr":
            yield from _list_relations((inner.larg, inner.rarg))
        elif inner.HasField("alias"):
            yield inner.alias.aliasname, kind


def _list_joins(items: Iterable[Node]) -> Iterator[Node]:
    """Inner ones: what an outer join asks for takes no row away."""
    for item in items:
        kind, inner = _open_node(item)
        if kind == "join_expr" and postgast.pg_query_pb2.JoinType.Name(inner.jointype) == "JOIN_INNER":
            yield inner
            yield from _list_joins((inner.larg, inner.rarg))


def _mark(value: _Value, *, asks: bool) -> _Value:
    """What a subquery found by who the caller is says who they are."""
    return value._replace(kind=_Kind.CLAIM) if asks and value.kind is _Kind.PLAIN else value


def _make_literal(value: Constant) -> _Value:
    return _Value(repr(value), literal=value)


def _make_truth(truth: Truth) -> _Value:
    return _NULL if truth is None else _make_literal(truth)


def _compare_literals(operator: str, left: Constant, right: Constant) -> bool | None:
    if type(left) is not type(right):
        return None
    if operator == "=":
        return left == right
    if operator == "<" and isinstance(left, float) and isinstance(right, float):
        return left < right
    return None


def _negate(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _all(truths: Iterable[Truth]) -> Truth:
    """Looks no further than it must, so that the truth table has fewer lines."""
    found: Truth = True
    for truth in truths:
        if truth is False:
            return False
        found = found if truth else None
    return found


def _any(truths: Iterable[Truth]) -> Truth:
    return _negate(_all(_negate(truth) for truth in truths))


_AGGREGATES: Final = frozenset(
    {"count", "sum", "min", "max", "avg", "bool_or", "bool_and", "every", "array_agg", "json_agg", "jsonb_agg"}
)
_SCALAR: Final = frozenset({"EXPR_SUBLINK", "ARRAY_SUBLINK"})
_TEST_KINDS: Final = frozenset(
    {
        "AEXPR_OP_ANY",
        "AEXPR_OP_ALL",
        "AEXPR_IN",
        "AEXPR_DISTINCT",
        "AEXPR_NOT_DISTINCT",
        "AEXPR_LIKE",
        "AEXPR_ILIKE",
    }
)
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
_VALUES: Final[Mapping[str, Callable[[RowEvaluation, Node], _Value]]] = {
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
