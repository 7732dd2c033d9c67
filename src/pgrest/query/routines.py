"""Which of a function's overloads a call means, by the names of the arguments given."""

from collections.abc import Iterable, Sequence

from pgrest import errors
from pgrest.config import Name
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType
from pgrest.query.suggestions import closest
from pgrest.schema.model import Function, Schema

_UNNAMED_TYPES = {
    media.JSON: ("json", "jsonb"),
    media.PLAIN_TEXT: ("text",),
    media.XML: ("xml",),
    media.OCTETS: ("bytea",),
}
_WHOLE_BODY = (media.PLAIN_TEXT, media.XML, media.OCTETS)


def find_function(
    schema: Schema, name: Name, keys: frozenset[str], content_type: MediaType, *, is_post: bool
) -> Function:
    overloads = schema.functions.get(name, ())
    takes_body = is_post and content_type in _WHOLE_BODY
    named = [one for one in overloads if _takes_keys(one, keys) and (one.parameters or not takes_body)]
    unnamed = [one for one in overloads if is_post and _takes_whole_body(one, content_type)]
    candidates = named or [one for one in unnamed if one not in named]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise errors.ambiguous_function(one.signature() for one in candidates)
    raise _not_found(schema, name, sorted(keys), content_type, overloads, is_post=is_post)


def _takes_keys(function: Function, keys: frozenset[str]) -> bool:
    required = {one.name for one in function.parameters if one.is_required}
    optional = {one.name for one in function.parameters if not one.is_required}
    return keys - optional == required


def _takes_whole_body(function: Function, content_type: MediaType) -> bool:
    if len(function.parameters) != 1 or function.parameters[0].name:
        return False
    return function.parameters[0].type in _UNNAMED_TYPES.get(content_type, ())


def _not_found(
    schema: Schema,
    name: Name,
    keys: Sequence[str],
    content_type: MediaType,
    overloads: Sequence[Function],
    *,
    is_post: bool,
) -> errors.PgrestError:
    full_name = f"{name[0]}.{name[1]}"
    if is_post and content_type in _WHOLE_BODY:
        kind = _UNNAMED_TYPES[content_type][0]
        searched = f"{full_name} with a single unnamed {kind} parameter"
        return errors.function_not_found(full_name, searched, None)
    given = ", ".join(keys)
    wanted = f"{full_name}({given})" if keys else f"{full_name} without parameters"
    searched = f"{full_name}{_with_parameters(keys)}"
    if is_post and content_type == media.JSON:
        searched += " or with a single unnamed json/jsonb parameter"
    return errors.function_not_found(wanted, searched, _suggest(schema, name, keys, overloads))


def _with_parameters(keys: Sequence[str]) -> str:
    if not keys:
        return " without parameters"
    return f" with parameter{'s' if len(keys) > 1 else ''} {', '.join(keys)}"


def _suggest(schema: Schema, name: Name, keys: Sequence[str], overloads: Sequence[Function]) -> str | None:
    if overloads:
        lists = [_list_names(one.name for one in overload.parameters) for overload in overloads]
        found = closest(_list_names(keys), lists, 0.33)
        return found and f"Perhaps you meant to call the function {name[0]}.{name[1]}{found}"
    found = closest(name[1], [local for space, local in schema.functions if space == name[0]], 0.75)
    return found and f"Perhaps you meant to call the function {name[0]}.{found}"


def _list_names(names: Iterable[str]) -> str:
    return f"({', '.join(sorted(names))})"
