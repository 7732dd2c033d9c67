"""`select=`: columns, aliases, casts, JSON paths, aggregates, and embedded resources inside parentheses."""

import re
from typing import Literal, get_args

from pgrest.query.grammar import error_grammar
from pgrest.query.grammar.nodes import (
    Aggregate,
    Field,
    JsonStep,
    SelectField,
    SelectItem,
    SelectRelation,
)
from pgrest.query.grammar.scanner import DEEPEST, Scanner, SyntaxMismatch, TooDeep, read_text, remembered

_DIGITS = re.compile(r"[0-9]+")
_JOINS: dict[str, Literal["inner", "left"]] = {"inner": "inner", "left": "left"}
_INDEX_ENDINGS = ("->", "::", ".", ",", ")")


@remembered
def parse_select(text: str) -> tuple[SelectItem, ...]:
    return read_text(text, f"failed to parse select parameter ({text})", _read_items, error_grammar.select)


def read_field(scanner: Scanner) -> Field:
    scanner.skip_blanks()
    field = Field(scanner.require_field_name(), read_json_path(scanner))
    scanner.skip_blanks()
    return field


def read_json_path(scanner: Scanner) -> tuple[JsonStep, ...]:
    steps: list[JsonStep] = []
    while True:
        arrow: Literal["->", "->>"]
        if scanner.match("->>"):
            arrow = "->>"
        elif scanner.match("->"):
            arrow = "->"
        else:
            return tuple(steps)
        if len(steps) == DEEPEST:  # each step is a level of PostgreSQL's stack
            raise TooDeep
        steps.append(_read_json_step(scanner, arrow))


def _read_json_step(scanner: Scanner, arrow: Literal["->", "->>"]) -> JsonStep:
    index = _read_json_index(scanner)
    if index is not None:
        return JsonStep(arrow, index, is_index=True)
    key = scanner.json_key()
    if key is None:
        raise SyntaxMismatch
    return JsonStep(arrow, key)


def _read_json_index(scanner: Scanner) -> str | None:
    start = scanner.pos
    sign = "-" if scanner.match("-") else ""
    digits = scanner.take(_DIGITS)
    if digits and (scanner.is_at_end() or any(scanner.is_next(ending) for ending in _INDEX_ENDINGS)):
        return sign + digits
    scanner.pos = start
    return None


def _read_items(scanner: Scanner) -> tuple[SelectItem, ...]:
    scanner.enter()
    scanner.skip_blanks()
    items: list[SelectItem] = []
    if not scanner.is_at_end() and not scanner.is_next(")"):
        items.append(_read_item(scanner))
        while scanner.match(","):
            items.append(_read_item(scanner))
    scanner.leave()
    return tuple(items)


def _read_item(scanner: Scanner) -> SelectItem:
    scanner.count_item()
    scanner.skip_blanks()
    if scanner.match("..."):
        return _read_relation(scanner, None, scanner.require_field_name(), is_spread=True)
    if scanner.match("*"):
        return _end_field(scanner, SelectField(Field("*")))
    alias = _read_alias(scanner)
    if scanner.match("count()"):
        cast = _read_cast(scanner)
        return _end_field(scanner, SelectField(Field("*"), alias, None, "count", cast))
    start = scanner.pos
    name = scanner.require_field_name()
    if scanner.is_next("!") or scanner.is_next("("):
        return _read_relation(scanner, alias, name, is_spread=False)
    scanner.pos = start
    return _read_column(scanner, alias)


def _read_alias(scanner: Scanner) -> str | None:
    start = scanner.pos
    name = scanner.field_name()
    if name is not None and scanner.match(":") and not scanner.text.startswith(":", scanner.pos):
        return name
    scanner.pos = start
    return None


def _read_relation(scanner: Scanner, alias: str | None, name: str, *, is_spread: bool) -> SelectRelation:
    hint: str | None = None
    join: Literal["inner", "left"] | None = None
    for _ in range(2):
        if not scanner.match("!"):
            break
        word = scanner.require_field_name()
        if word in _JOINS:
            join = join or _JOINS[word]
        else:
            hint = hint or word
    scanner.expect("(")
    items = _read_items(scanner)
    scanner.expect(")")
    scanner.skip_blanks()
    return SelectRelation(name, items, alias, hint, join, is_spread)


def _read_column(scanner: Scanner, alias: str | None) -> SelectField:
    field = read_field(scanner)
    cast = _read_cast(scanner)
    aggregate = _read_aggregate(scanner)
    aggregate_cast = _read_cast(scanner)
    return _end_field(scanner, SelectField(field, alias, cast, aggregate, aggregate_cast))


def _read_cast(scanner: Scanner) -> str | None:
    if not scanner.match("::"):
        return None
    name = scanner.identifier()
    if name is None:
        raise SyntaxMismatch
    return name


def _read_aggregate(scanner: Scanner) -> Aggregate | None:
    start = scanner.pos
    if scanner.match("."):
        for name in get_args(Aggregate):
            if scanner.match(f"{name}()"):
                return name  # type: ignore[no-any-return]  # get_args loses the literal type
    scanner.pos = start
    return None


def _end_field(scanner: Scanner, field: SelectField) -> SelectField:
    scanner.skip_blanks()
    if not (scanner.is_next(")") or scanner.is_next(",") or scanner.is_at_end()):
        raise SyntaxMismatch
    return field
