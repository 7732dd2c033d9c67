"""`order=`, `columns=` and `on_conflict=`."""

from typing import Literal

from pgrest.query.grammar import error_grammar
from pgrest.query.grammar.filters import parse_tree_path
from pgrest.query.grammar.nodes import EmbedPath, Field, OrderTerm
from pgrest.query.grammar.scanner import Scanner, SyntaxMismatch, read_text, remembered
from pgrest.query.grammar.select import read_field


def parse_order(key: str, value: str) -> tuple[EmbedPath, tuple[OrderTerm, ...]]:
    path, _ = parse_tree_path(key)
    return path, _parse_terms(value)


@remembered
def _parse_terms(text: str) -> tuple[OrderTerm, ...]:
    return read_text(text, f"failed to parse order ({text})", _read_terms, error_grammar.order)


def parse_columns(text: str, parameter: str) -> tuple[str, ...]:
    return read_text(text, f"failed to parse {parameter} parameter ({text})", _read_columns, error_grammar.columns)


def _read_columns(scanner: Scanner) -> tuple[str, ...]:
    names = [scanner.require_field_name()]
    while _match_comma(scanner):
        names.append(scanner.require_field_name())
    return tuple(dict.fromkeys(names))


def _match_comma(scanner: Scanner) -> bool:
    """Blanks promise a comma; anything else ends the list."""
    start = scanner.pos
    if scanner.match_between_blanks(","):
        return True
    if scanner.pos > start:
        raise SyntaxMismatch
    return False


def _read_terms(scanner: Scanner) -> tuple[OrderTerm, ...]:
    terms = [_read_term(scanner)]
    while scanner.match(","):
        terms.append(_read_term(scanner))
    return tuple(terms)


def _read_term(scanner: Scanner) -> OrderTerm:
    scanner.count_item()
    scanner.skip_blanks()
    relation, field = _read_target(scanner)
    direction = _read_direction(scanner)
    nulls = _read_nulls(scanner)
    scanner.skip_blanks()
    if not (scanner.is_next(",") or scanner.is_at_end()):
        raise SyntaxMismatch
    return OrderTerm(field, direction, nulls, relation)


def _read_target(scanner: Scanner) -> tuple[str | None, Field]:
    start = scanner.pos
    name = scanner.field_name()
    if name is not None and scanner.text.startswith("(", scanner.pos):
        scanner.pos += 1
        field = read_field(scanner)
        if scanner.match(")"):
            return name, field
    scanner.pos = start
    return None, read_field(scanner)


def _read_direction(scanner: Scanner) -> Literal["asc", "desc"] | None:
    start = scanner.pos
    if scanner.match("."):
        if scanner.match("asc"):
            return "asc"
        if scanner.match("desc"):
            return "desc"
    scanner.pos = start
    return None


def _read_nulls(scanner: Scanner) -> Literal["nullsfirst", "nullslast"] | None:
    if not scanner.match("."):
        return None
    if scanner.match("nullsfirst"):
        return "nullsfirst"
    if scanner.match("nullslast"):
        return "nullslast"
    raise SyntaxMismatch
