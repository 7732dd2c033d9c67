"""`column=eq.5`, `not.in.(1,2)`, and the trees of `and=` and `or=`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pgrest.query.grammar import error_grammar
from pgrest.query.grammar.nodes import (
    Compare,
    Condition,
    DistinctFrom,
    EmbedPath,
    Field,
    Filter,
    InList,
    IsTest,
    Logic,
    Operation,
    TextSearch,
)
from pgrest.query.grammar.scanner import ParseError, Scanner, SyntaxMismatch, TooDeep, read_text, remembered
from pgrest.query.grammar.select import read_field, read_json_path

SIMPLE_OPERATORS = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
QUANTIFIABLE_OPERATORS = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
COMPARISON_START = re.compile(rf"(?P<not>not\.)?(?P<operator>{'|'.join(SIMPLE_OPERATORS + QUANTIFIABLE_OPERATORS)})\.")
"""How most filters begin; everything after the operator's dot is the value."""
_SEARCHES: tuple[Literal["fts", "plfts", "phfts", "wfts"], ...] = ("fts", "plfts", "phfts", "wfts")
_OPERATION_START = re.compile(
    rf"not\.|in\.|is\.|isdistinct\.|{'|'.join(_SEARCHES + SIMPLE_OPERATORS + QUANTIFIABLE_OPERATORS)}"
)
"""Whatever begins otherwise is no operation."""
_IS_VALUES: tuple[Literal["null", "not_null", "true", "false", "unknown"], ...] = (
    "null",
    "not_null",
    "true",
    "false",
    "unknown",
)
_COMMITTING = ("not.", "in.", "is.")
"""Behind these an operation must follow; anything else may be an argument's value."""
_ELEMENT = re.compile(r"[^,)]*")
_PLAIN_ELEMENTS = re.compile(r"[^,)\"]+(?:,[^,)\"]+)*(?=[,)])")
"""As many as there are without a quote: most lists are long ones of numbers."""
_ARRAY = re.compile(r"\{[^{}]*\}")
_REST = re.compile(r".*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PathFilter:
    """A filter and the embedded resource it is for; `()` is the request's own table."""

    path: EmbedPath
    filter: Filter


@dataclass(frozen=True, slots=True)
class PathLogic:
    path: EmbedPath
    logic: Condition


def parse_filter(key: str, value: str) -> PathFilter:
    path, field = parse_tree_path(key)
    plain = COMPARISON_START.match(value)
    if plain is not None:
        comparison = Compare(plain["operator"], value[plain.end() :])
        return PathFilter(path, Filter(field, comparison, plain["not"] is not None))
    source = f"failed to parse filter ({value})"
    negated, operation = read_text(value, source, _read_filter_value, error_grammar.filter_value)
    return PathFilter(path, Filter(field, operation, negated))


def parse_argument_or_filter(key: str, value: str) -> PathFilter | tuple[str, str]:
    """For functions called by GET: `id=eq.1` filters the result, `id=1` is an argument."""
    if not _OPERATION_START.match(value):
        return parse_tree_path(key)[1].name, value
    try:
        return parse_filter(key, value)
    except ParseError:
        if value.startswith(_COMMITTING):
            raise
        return parse_tree_path(key)[1].name, value


@remembered
def parse_tree_path(key: str) -> tuple[EmbedPath, Field]:
    return read_text(key, f"failed to parse tree path ({key})", _read_tree_path, error_grammar.tree_path)


def _read_tree_path(scanner: Scanner) -> tuple[EmbedPath, Field]:
    names = _read_path(scanner)
    return tuple(names[:-1]), Field(names[-1], read_json_path(scanner))


def parse_logic(key: str, value: str) -> PathLogic:
    """`clients.not.or` with `(id.eq.1,id.eq.2)`."""
    names = read_text(key, f"failed to parse logic path ({key})", _read_path, error_grammar.logic_path)
    whole = f"{'not.' if 'not' in names else ''}{names[-1]}{value}"
    logic = read_text(whole, f"failed to parse logic tree ({value})", _read_condition, error_grammar.logic)
    return PathLogic(tuple(name for name in names[:-1] if name != "not"), logic)


def _read_path(scanner: Scanner) -> list[str]:
    names = [scanner.require_field_name()]
    while scanner.match("."):
        names.append(scanner.require_field_name())
    return names


def _read_condition(scanner: Scanner) -> Condition:
    scanner.count_item()
    scanner.enter()
    start = scanner.pos
    condition: Condition
    try:
        condition = _read_logic_filter(scanner)
    except TooDeep:
        raise
    except SyntaxMismatch:
        scanner.pos = start
        condition = _read_logic(scanner)
    scanner.leave()
    return condition


def _read_logic_filter(scanner: Scanner) -> Filter:
    field = read_field(scanner)
    scanner.expect(".")
    negated, operation = _read_operation(scanner, _read_logic_value)
    return Filter(field, operation, negated)


def _read_logic(scanner: Scanner) -> Logic:
    negated = scanner.match("not.")
    operator = _read_logic_operator(scanner)
    scanner.skip_blanks()
    scanner.expect("(")
    scanner.skip_blanks()
    children = [_read_condition(scanner)]
    while scanner.match_between_blanks(","):
        children.append(_read_condition(scanner))
    if not scanner.match_between_blanks(")"):
        raise SyntaxMismatch
    return Logic(operator, tuple(children), negated)


def _read_logic_operator(scanner: Scanner) -> Literal["and", "or"]:
    if scanner.match("and"):
        return "and"
    scanner.expect("or")
    return "or"


def _read_filter_value(scanner: Scanner) -> tuple[bool, Operation]:
    return _read_operation(scanner, _read_rest)


def _read_operation(scanner: Scanner, read_value: Callable[[Scanner], str]) -> tuple[bool, Operation]:
    negated = scanner.match("not.")
    if scanner.match("in."):
        return negated, InList(_read_list(scanner))
    if scanner.match("is."):
        return negated, IsTest(_read_is_value(scanner))
    if scanner.match("isdistinct."):
        return negated, DistinctFrom(read_value(scanner))
    start = scanner.pos
    for search in _SEARCHES:
        scanner.pos = start
        if scanner.match(search):
            language = _read_language(scanner)
            if scanner.match("."):
                return negated, TextSearch(search, read_value(scanner), language)
    scanner.pos = start
    for simple in SIMPLE_OPERATORS:
        if scanner.match(f"{simple}."):
            return negated, Compare(simple, read_value(scanner))
    for operator in QUANTIFIABLE_OPERATORS:
        scanner.pos = start
        if scanner.match(operator):
            quantifier = _read_quantifier(scanner)
            if scanner.match("."):
                return negated, Compare(operator, read_value(scanner), quantifier)
    raise SyntaxMismatch


def _read_quantifier(scanner: Scanner) -> Literal["any", "all"] | None:
    if scanner.match("(any)"):
        return "any"
    return "all" if scanner.match("(all)") else None


def _read_language(scanner: Scanner) -> str | None:
    start = scanner.pos
    language = scanner.identifier() if scanner.match("(") else None
    if language is None or not scanner.match(")"):
        scanner.pos = start
        return None
    return language


def _read_is_value(scanner: Scanner) -> Literal["null", "not_null", "true", "false", "unknown"]:
    rest = scanner.text[scanner.pos :].lower()
    for value in _IS_VALUES:
        if rest.startswith(value):
            scanner.pos += len(value)
            return value
    raise SyntaxMismatch


def _read_rest(scanner: Scanner) -> str:
    return scanner.take(_REST)


def _read_logic_value(scanner: Scanner) -> str:
    quoted = _read_quoted_element(scanner)
    if quoted is not None:
        return quoted
    return scanner.take(_ARRAY) or scanner.take(_ELEMENT)


def _read_list(scanner: Scanner) -> tuple[str, ...]:
    scanner.skip_blanks()
    scanner.expect("(")
    scanner.skip_blanks()
    plain = scanner.take(_PLAIN_ELEMENTS)
    values = plain.split(",") if plain else [_read_element(scanner)]
    while scanner.match(","):
        values.append(_read_element(scanner))
    scanner.skip_blanks()
    scanner.expect(")")
    scanner.skip_blanks()
    return tuple(values)


def _read_element(scanner: Scanner) -> str:
    quoted = _read_quoted_element(scanner)
    return scanner.take(_ELEMENT) if quoted is None else quoted


def _read_quoted_element(scanner: Scanner) -> str | None:
    """A quoted value counts only when it is the whole element; `"a"b` stands for itself."""
    start = scanner.pos
    quoted = scanner.quoted()
    if quoted is not None and not scanner.is_at_end() and scanner.text[scanner.pos] not in ",)":
        scanner.pos = start
        return None
    return quoted
