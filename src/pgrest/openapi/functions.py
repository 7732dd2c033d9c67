"""A function in the document: its arguments in the query string, or as a JSON body."""

from collections.abc import Sequence

from pgrest.openapi.reach import Reach
from pgrest.openapi.shared import OBJECTS, Described, refer, split_comment
from pgrest.openapi.types import describe_element, describe_type, json_format, json_type
from pgrest.query.grammar import media
from pgrest.schema.model import Function, Parameter, Schema

_PRODUCED = (media.JSON.name, *OBJECTS)
_BODIES = {"text": media.PLAIN_TEXT.name, "xml": media.XML.name, "bytea": media.OCTETS.name}
"""What a function with one unnamed parameter takes, where that is not JSON."""


def choose_overload(overloads: Sequence[Function]) -> Function:
    """A path can tell of one only: of that with the most parameters."""
    return max(overloads, key=lambda one: (len(one.parameters), one.comment or "", one.signature()))


def describe_calls(schema: Schema, function: Function, types: Sequence[str], reach: Reach) -> Described:
    """`types` are the parameters' types as the caller's search path spells them. Empty = it cannot be called."""
    parameters = list(zip(function.parameters, types, strict=True))
    shown = [(one, reach.display_type(schema, one.type, spelled)) for one, spelled in parameters]
    shared: Described = {
        "tags": (f"(rpc) {function.name}",),
        **split_comment(function.comment),
        "produces": _PRODUCED,
        "responses": {"200": {"description": "OK"}},
    }
    takes_whole_body = len(shown) == 1 and not function.parameters[0].name
    methods: Described = {}
    if function.volatility != "v" and not takes_whole_body:
        arguments = [_describe_argument(one, spelled) for one, spelled in shown]
        methods["get"] = {**shared, "parameters": arguments} if arguments else shared
    if function.volatility != "v" or reach.calls_volatile:
        body = _describe_unnamed(function, *shown[0]) if takes_whole_body else _describe_named(function, shown)
        methods["post"] = {**shared, **body}
    return methods


def _describe_argument(parameter: Parameter, spelled: str) -> Described:
    """In a query string an array is a literal, and JSON a text; a variadic argument is given many times."""
    described: Described = {"name": parameter.name, "required": parameter.is_required, "in": "query"}
    kind = json_type(parameter.type)
    if parameter.is_variadic:
        items = {**describe_element(parameter.type), "format": json_format(spelled.removesuffix("[]"))}
        return {**described, "type": kind, "items": items, "collectionFormat": "multi"}
    return {**described, "type": "string" if kind in (None, "array") else kind, "format": json_format(spelled)}


def _describe_named(function: Function, shown: Sequence[tuple[Parameter, str]]) -> Described:
    body: Described = {"type": "object"}
    if function.comment is not None:
        body["description"] = function.comment
    if required := [one.name for one, _ in shown if one.is_required]:
        body["required"] = required
    if shown:
        body["properties"] = {one.name: describe_type(one.type, spelled) for one, spelled in shown}
    return {"parameters": _list_posted(body)}


def _describe_unnamed(function: Function, parameter: Parameter, spelled: str) -> Described:
    """The whole body is the argument."""
    body = describe_type(parameter.type, spelled)
    if function.comment is not None:
        body["description"] = function.comment
    described: Described = {"parameters": _list_posted(body)}
    return {**described, "consumes": (_BODIES[parameter.type],)} if parameter.type in _BODIES else described


def _list_posted(body: Described) -> list[Described]:
    return [{"name": "args", "required": True, "in": "body", "schema": body}, refer("parameters", "preferParams")]
