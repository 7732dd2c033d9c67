"""What a route may answer, for the OpenAPI document."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
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
from basewarden.web.access import list_route_access
from basewarden.web.callers import CallerKind
from basewarden.web.examples import CHANGES, add_examples, make_example

STABLE: Final = {"x-stable": True}
"""`openapi_extra=` of a route that changes only with a major version."""

_JSON = "application/json"
_REFERENCE = "#/components/schemas/"
_ERROR = {"$ref": f"{_REFERENCE}ErrorBody"}
_CODES = "x-codes"
_MFA_REQUIRED = "mfa_required"
_TWO_FACTOR_REQUIRED = "two_factor_required"
_LEAST_ROLE = "viewer"
_UNSAFE = ("post", "put", "patch", "delete")


class ErrorBody(BaseModel):
    """The one body of every error."""

    code: str
    message: str
    details: Any = None
    hint: str | None = None


def declare(
    *errors: type[AppError], bodies: Mapping[type[AppError], type[BaseModel]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: each status with the codes that it can have.

    `bodies` names the model of an error whose `details` or members beside them a client reads; its `code` is a Literal.
    """
    declared: dict[int | str, dict[str, Any]] = {}
    for error in sorted(set(errors), key=lambda one: (one.status, one.code)):
        answer = declared.setdefault(error.status, {"description": "", _CODES: {}})
        answer[_CODES][error.code] = error.message
        if bodies and error in bodies:
            answer["model"] = answer["model"] | bodies[error] if "model" in answer else bodies[error]
    return declared


def answer_with(model: Any, **example: Any) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that encodes its answer itself: the model is for the document alone.

    `example`: members that the example of this answer has otherwise than those of its model.
    """
    return {HTTPStatus.OK.value: {"model": model, CHANGES: json.dumps(example)}}


def describe_api(app: FastAPI, others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's own, with what the edge and the checks of callers may answer at each route.

    `others` are the paths of `others["paths"]` and their schemas, which are served before FastAPI sees a request.
    """
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas[_name(_ERROR)] = ErrorBody.model_json_schema()
    _add_callers(document, app)
    if others:
        document["paths"] |= others["paths"]
        schemas |= others["components"]["schemas"]
    messages = {error.code: error.message for error in _list_errors(AppError)}
    for path, method, operation in list_operations(document):
        _add_refusals(operation, list_common_refusals(path, method, operation), messages, schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    add_examples(document)
    return document


def list_operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in lower case, and the operation."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def list_common_refusals(path: str, method: str, operation: Mapping[str, Any]) -> dict[int, list[str]]:
    """Status and codes that a route need not declare: they follow from its shape and from who may call it."""
    kinds = set(operation["x-callers"])
    found: dict[int, list[str]] = {400: [BadRequest.code], 503: [Unavailable.code]}
    if CallerKind.MEMBER in kinds:
        found[403] = [_TWO_FACTOR_REQUIRED]
    if method in _UNSAFE or operation.get("x-role", _LEAST_ROLE) != _LEAST_ROLE:
        found.setdefault(403, []).append(Forbidden.code)
    if method in _UNSAFE:
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
        found[401].append(_MFA_REQUIRED)
    return found


def _add_callers(document: dict[str, Any], app: FastAPI) -> None:
    found = {(one.path, one.method.lower()): one for one in list_route_access(app.routes)}
    for path, method, operation in list_operations(document):
        access = found[(path, method)]
        operation["x-callers"] = sorted(str(kind) for kind in access.kinds)
        if access.role:
            operation["x-role"] = access.role


def _add_refusals(
    operation: dict[str, Any], common: Mapping[int, list[str]], messages: Mapping[str, str], schemas: Mapping[str, Any]
) -> None:
    responses = operation["responses"]
    responses.pop(str(Invalid.status), None) if _is_frameworks_own(responses) else None
    for status, codes in common.items():
        answer = responses.setdefault(str(status), {_CODES: {}})
        if _CODES in answer:
            answer[_CODES] = {**{code: messages[code] for code in codes}, **answer[_CODES]}
    for answer in responses.values():
        if _CODES in answer:
            _describe_errors(answer, answer.pop(_CODES), schemas)
    operation["responses"] = dict(sorted(responses.items()))


def _is_frameworks_own(responses: Mapping[str, Any]) -> bool:
    """FastAPI's own body for invalid input, which this product never sends."""
    return "HTTPValidationError" in str(responses.get(str(Invalid.status), ""))


def _describe_errors(answer: dict[str, Any], codes: Mapping[str, str], schemas: Mapping[str, Any]) -> None:
    answer["description"] = "\n".join(f"- `{code}`: {codes[code]}" for code in sorted(codes))
    special = list(_list_models(answer))
    plain = sorted(set(codes) - {code for model in special for code in _list_codes(schemas[_name(model)])})
    choices = [*special, *([{**_ERROR, "properties": {"code": {"enum": plain}}}] if plain else [])]
    shown = max(special, key=lambda model: len(schemas[_name(model)]["properties"]), default=_ERROR)
    code = _list_codes(schemas[_name(shown)])[0] if special else plain[0]
    example = make_example(shown, schemas)
    answer["content"] = {
        _JSON: {
            "schema": choices[0] if len(choices) == 1 else {"anyOf": choices},
            "example": {**example, "code": code, "message": codes[code]},
        }
    }


def _list_models(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The models of errors that have one of their own."""
    schema = answer.get("content", {}).get(_JSON, {}).get("schema", {})
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            yield {"$ref": choice["$ref"]}


def _list_codes(schema: Mapping[str, Any]) -> list[str]:
    code = schema["properties"]["code"]
    return [code["const"]] if "const" in code else list(code["enum"])


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).removeprefix(_REFERENCE)


def _list_errors(kind: type[AppError]) -> Iterable[type[AppError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _list_errors(child)
