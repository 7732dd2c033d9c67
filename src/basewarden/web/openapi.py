"""What a route may answer besides its success, for the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from basewarden.errors import (
    AppError,
    BadJSON,
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from basewarden.web.callers import CallerKind, declared_callers

_BODY = "ErrorBody"
_HALF_WAY = "mfa_required"


class ErrorBody(BaseModel):
    """The one body of every error."""

    code: str
    message: str
    details: Any = None
    hint: str | None = None


def declare(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: each status with the codes that it can have."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(error.code)
    return {
        status: {"model": ErrorBody, "description": ", ".join(f"`{code}`" for code in sorted(set(names)))}
        for status, names in sorted(codes.items())
    }


def describe_api(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's own, with what the edge and the checks of callers may answer at each route."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document.setdefault("components", {}).setdefault("schemas", {})[_BODY] = ErrorBody.model_json_schema()
    needs = {
        (route.path, method): _list_callers(route.dependant)
        for route in iter_route_contexts(app.routes)
        if hasattr(route, "dependant")
        for method in route.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            kinds = set(needs.get((path, method.upper()), ()))
            _add_refusals(operation, list_common_refusals(path, method, operation, kinds))
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def list_common_refusals(
    path: str, method: str, operation: dict[str, Any], kinds: set[CallerKind]
) -> dict[int, list[str]]:
    """Status and codes that a route need not declare: they follow from its shape and from who may call it."""
    found: dict[int, list[str]] = {400: [BadRequest.code], 503: [Unavailable.code]}
    if method in ("post", "put", "patch", "delete"):
        found[403] = [Forbidden.code]
        found[413] = [TooLarge.code]
    if "requestBody" in operation:
        found[400].append(BadJSON.code)
    if "requestBody" in operation or operation.get("parameters"):
        found[422] = [Invalid.code]
    if "{" in path:
        found[404] = [NotFound.code]
    if kinds - {CallerKind.ANYONE}:
        found[401] = [Unauthenticated.code]
    if kinds & {CallerKind.PERSON, CallerKind.MEMBER}:
        found[401].append(_HALF_WAY)
    return found


def _add_refusals(operation: dict[str, Any], refusals: dict[int, list[str]]) -> None:
    responses = operation["responses"]
    if str(Invalid.status) in responses and _BODY not in str(responses[str(Invalid.status)]):
        del responses[str(Invalid.status)]  # the framework's own body, which nobody gets to see
    for status, codes in refusals.items():
        if _has_body_of_its_own(responses.get(str(status), {})):
            continue
        known = responses.get(str(status), {}).get("description", "")
        words = [word for word in known.split(", ") if word]
        words += [f"`{code}`" for code in codes if f"`{code}`" not in words]
        responses[str(status)] = {
            "description": ", ".join(words),
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{_BODY}"}}},
        }
    operation["responses"] = dict(sorted(responses.items()))


def _has_body_of_its_own(response: dict[str, Any]) -> bool:
    return "content" in response and _BODY not in str(response)


def _list_callers(dependant: Dependant) -> Iterator[CallerKind]:
    yield from declared_callers(dependant.call)
    for inner in dependant.dependencies:
        yield from _list_callers(inner)
