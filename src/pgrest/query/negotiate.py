"""Which media type the answer has, and what makes the body of it."""

from dataclasses import dataclass, replace
from typing import Literal

from pgrest import errors
from pgrest.config import Name, RestConfig
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType, parse_media_type
from pgrest.query.request import Request
from pgrest.schema.model import MediaHandler, Schema

_STRIPPED_ARRAY = "application/vnd.pgrst.array+json"


@dataclass(frozen=True, slots=True)
class Body:
    """How the rows become bytes inside the database."""

    kind: Literal["json", "object", "csv", "geojson", "custom", "none"]
    strips_nulls: bool = False
    handler: MediaHandler | None = None
    schema: str | None = None
    """Where PostGIS lies."""


NO_BODY = Body("none")
_BUILT_IN = {
    media.ANY: (Body("json"), media.JSON),
    media.JSON: (Body("json"), media.JSON),
    media.CSV: (Body("csv"), media.CSV),
    media.GEOJSON: (Body("geojson"), media.GEOJSON),
}


def choose_media(
    schema: Schema, request: Request, config: RestConfig, target: Name, *, selects_everything: bool
) -> tuple[Body, MediaType]:
    """The first acceptable type for which there is a way; custom handlers may replace the built-in ones."""
    for accepted in request.accept:
        found = _find_body(schema, config, target, accepted, selects_everything=selects_everything)
        if found is not None:
            return (NO_BODY if _has_no_body(request) else found[0]), found[1]
    raise errors.media_not_available(accepted.mime() for accepted in request.accept)


def _has_no_body(request: Request) -> bool:
    is_write = request.resource.kind == "table" and request.method not in ("GET", "HEAD")
    return request.is_head or (is_write and request.preferences.returning != "representation")


def _find_body(
    schema: Schema, config: RestConfig, target: Name, accepted: MediaType, *, selects_everything: bool
) -> tuple[Body, MediaType] | None:
    if accepted.plan is not None:
        subject = accepted.plan.subject
        found = _find_body(schema, config, target, subject, selects_everything=selects_everything)
        return (found[0], accepted) if found is not None and config.plan_enabled else None
    if accepted.is_singular:
        return Body("object", accepted.strips_nulls), accepted
    if accepted.name == _STRIPPED_ARRAY:
        return Body("json", strips_nulls=True), accepted
    return _find_handler(schema, target, accepted, selects_everything=selects_everything)


def _find_handler(
    schema: Schema, target: Name, accepted: MediaType, *, selects_everything: bool
) -> tuple[Body, MediaType] | None:
    wanted = accepted.name.lower()
    handlers = schema.media_handlers
    found = None
    if selects_everything:
        found = handlers.get((target, "*/*")) or handlers.get((target, wanted))
    found = found or handlers.get((None, wanted))
    if found is not None:
        return Body("custom", handler=found), parse_media_type(found.produces)
    built_in = _BUILT_IN.get(accepted)
    if built_in is not None and built_in[0].kind == "geojson":
        return replace(built_in[0], schema=schema.geojson_schema), built_in[1]
    return built_in
