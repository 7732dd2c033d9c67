"""The grammar of the query string once more, as PostgREST parses it, for those texts alone that do not fit.

The readers beside this module decide what is right and are fast; this says what was wrong, word for word as PostgREST.
"""

from pgrest.query.grammar.combinators import (
    Parser,
    Reply,
    ahead,
    attempt,
    character,
    end,
    exactly,
    first_of,
    labelled,
    maybe,
    repeated,
    run_of,
    separated,
    sequence,
    unless_followed_by,
    unless_it_is,
    word,
)

_IDENTIFIER = r"[^\W\d]|[0-9 $]"
_blanks = run_of(r"[ \t]")
_anything = run_of(r".")
_element = run_of(r"[^,)]")
_no_more_of_it = unless_followed_by(character(r"[^,)]"))
_delimiter = labelled("delimiter (.)", exactly("."))


def _between_blanks(parser: Parser) -> Parser:
    return sequence(_blanks, parser, _blanks)


def _sure(parser: Parser) -> Parser:
    """Looked at, not taken."""
    return attempt(ahead(parser))


# Names and paths -----------------------------------------------------------------------------------------

_quoted = sequence(
    exactly('"'), repeated(first_of(run_of(r'[^\\"]', least=1), sequence(exactly("\\"), character(r".")))), exactly('"')
)
_identifier = run_of(_IDENTIFIER, "letter", "digit", least=1)
_dash = attempt(sequence(exactly("-"), unless_followed_by(exactly(">"))))
_name = labelled("field name (* or [a..z0..9_$])", first_of(_quoted, separated(_identifier, _dash)))
_key = labelled(
    "any non reserved character different from: .,>()",
    first_of(_quoted, separated(run_of(r"[^(\-:.,>)]", least=1), _dash)),
)
_index_end = first_of(*(_sure(word(ending)) for ending in ("->", "::", ".", ",")), attempt(end))
_index = sequence(maybe(exactly("-")), run_of(r"[0-9]", "digit", least=1), _index_end)
_json_path = repeated(
    sequence(first_of(attempt(word("->>")), attempt(word("->"))), first_of(attempt(_index), attempt(_key)))
)
_field = _between_blanks(sequence(_name, _json_path))
tree_path = sequence(separated(_name, _delimiter), _json_path)
logic_path = separated(_name, _delimiter)
columns = separated(_name, _between_blanks(exactly(",")))

# select= -------------------------------------------------------------------------------------------------

_alias = maybe(attempt(sequence(_name, exactly(":"), unless_followed_by(exactly(":")))))
_parameter = sequence(exactly("!"), first_of(attempt(word("left")), attempt(word("inner")), attempt(_name)))
_parameters = sequence(maybe(_parameter), maybe(_parameter), _sure(word("(")))
_spread = _between_blanks(sequence(word("..."), _name, _parameters))
_relation = _between_blanks(sequence(_alias, unless_it_is(("count", '"count"'), _name), _parameters))
_cast = maybe(sequence(word("::"), _identifier))
_item_end = first_of(_sure(word(")")), _sure(word(",")), attempt(end))
_aggregate = maybe(
    attempt(
        sequence(
            exactly("."),
            first_of(word("sum"), word("avg"), word("count"), attempt(word("max")), attempt(word("min"))),
            word("()"),
        )
    )
)
_column = _between_blanks(
    first_of(
        attempt(sequence(word("*"), _item_end)),
        attempt(sequence(_alias, word("count()"), _cast, _item_end)),
        sequence(_alias, _field, _cast, _aggregate, _cast, _item_end),
    )
)


def select(text: str, at: int) -> Reply:
    """Nothing at all is right, too. No `maybe`, so that nesting costs four calls a level."""
    reply = _items(text, at)
    return reply if reply.consumed else reply._replace(fits=True, at=at)


_item = first_of(
    sequence(attempt(_spread), exactly("("), select, exactly(")")),
    sequence(attempt(_relation), exactly("("), select, exactly(")")),
    _column,
)
_items = separated(_item, _between_blanks(exactly(",")))

# Filters -------------------------------------------------------------------------------------------------


def _operator(name: str) -> Parser:
    return attempt(sequence(word(name), _delimiter))


def _any_case(name: str) -> Parser:
    return attempt(sequence(*(first_of(exactly(char), exactly(char.upper())) for char in name)))


def _words(*names: str) -> Parser:
    return first_of(*(attempt(word(name)) for name in names))


_list = sequence(
    _between_blanks(exactly("(")),
    separated(first_of(attempt(sequence(_quoted, _no_more_of_it)), _element), exactly(",")),
    _between_blanks(exactly(")")),
)
_is_value = labelled(
    "isVal: (null, not_null, true, false, unknown)",
    first_of(*(_any_case(name) for name in ("null", "not_null", "true", "false", "unknown"))),
)
_language = maybe(attempt(sequence(exactly("("), _identifier, exactly(")"))))
_quantifier = maybe(attempt(sequence(exactly("("), first_of(attempt(word("any")), word("all")), exactly(")"))))
_simple = _words("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
_quantifiable = _words("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
_not = first_of(attempt(sequence(word("not"), _delimiter)), sequence())


def _operation(value: Parser) -> Parser:
    one = first_of(
        sequence(_operator("in"), _list),
        sequence(_operator("is"), _is_value),
        sequence(_operator("isdistinct"), value),
        attempt(sequence(_words("fts", "plfts", "phfts", "wfts"), _language, _delimiter, value)),
        attempt(sequence(_simple, _delimiter, value)),
        attempt(sequence(_quantifiable, _quantifier, _delimiter, value)),
    )
    return sequence(_not, labelled("operator (eq, gt, ...)", one))


filter_value = _operation(_anything)

_array = sequence(word("{"), run_of(r"[^{}]"), word("}"))
_logic_value = first_of(attempt(sequence(_quoted, _no_more_of_it)), attempt(_array), _element)
_logic_filter = sequence(_field, _delimiter, _operation(_logic_value))


def logic(text: str, at: int) -> Reply:
    return _logic(text, at)


_logic = first_of(
    attempt(_logic_filter),
    sequence(
        labelled("negation operator (not)", _not),
        labelled("logic operator (and, or)", first_of(attempt(word("and")), word("or"))),
        _between_blanks(exactly("(")),
        separated(logic, _between_blanks(exactly(","))),
        _between_blanks(exactly(")")),
    ),
)

# order= --------------------------------------------------------------------------------------------------

_direction = maybe(first_of(attempt(sequence(_delimiter, word("asc"))), attempt(sequence(_delimiter, word("desc")))))
_nulls = first_of(attempt(sequence(_delimiter, word("nullsfirst"))), attempt(sequence(_delimiter, word("nullslast"))))
_term_end = first_of(_sure(exactly(",")), attempt(end))
_ending = first_of(sequence(maybe(_nulls), _term_end), _term_end)
_related = sequence(_name, exactly("("), _field, exactly(")"), _direction, _ending)
order = separated(_between_blanks(first_of(attempt(_related), sequence(_field, _direction, _ending))), exactly(","))
