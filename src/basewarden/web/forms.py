"""Forms of server-rendered pages: the models of the JSON API, with errors beside the fields."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from basewarden.errors import AppError, Invalid
from basewarden.web.pages import Pages

MOST_FIELDS = 2_100
"""An undo may have a choice for each of 2,000 rows; the size of a body is bounded too."""
FIELD_BYTES = 1024 * 1024
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Form(Generic[M]):
    """The typed values, and either valid `data` or `errors` by field name ("" = the whole form)."""

    typed: dict[str, str]
    data: M | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def with_error(self, message: str, name: str = "") -> "Form[M]":
        return Form(self.typed, None, {**self.errors, name: message})

    def with_app_error(self, error: AppError, name: str = "") -> "Form[M]":
        """Adds the messages of `Invalid` to their fields, and any other error to the named one or the whole form."""
        if isinstance(error, Invalid) and isinstance(error.details, list):
            return Form(self.typed, None, {item["field"]: item["message"] for item in error.details})
        return self.with_error(error.text, name)


def show_again(
    request: Request,
    pages: Pages,
    template: str,
    form: Form[Any],
    error: AppError | None = None,
    *,
    never_shown: tuple[str, ...] = (),
    error_field: str = "",
    **context: Any,
) -> Response:
    """Renders the page of a refused form again with the typed values, except those in `never_shown`.

    An error that names no field is shown at `error_field`, or above the form.
    """
    refused = form if error is None else form.with_app_error(error, error_field)
    typed = {name: value for name, value in form.typed.items() if name not in never_shown}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error is None else error.status
    response = pages.render(request, template, status=status, typed=typed, errors=refused.errors, **context)
    response.headers.update({} if error is None else error.headers)
    return response


async def parse_form(request: Request, model: type[M], *, lists: Collection[str] = (), **extra: Any) -> Form[M]:
    """Leaves out empty fields; `extra` adds or overrides values.

    A field of `lists` may be sent several times; `typed` holds its values on a line each.
    """
    return await _parse(request, model, FIELD_BYTES, lists, extra)


async def parse_large_form(request: Request, model: type[M], field_bytes: int) -> Form[M]:
    """As `parse_form`, of fields that may be larger than FIELD_BYTES."""
    return await _parse(request, model, field_bytes, (), {})


async def _parse(
    request: Request, model: type[M], field_bytes: int, lists: Collection[str], extra: Mapping[str, Any]
) -> Form[M]:
    async with request.form(max_files=0, max_fields=MOST_FIELDS, max_part_size=field_bytes) as data:
        typed = {name: value for name, value in data.items() if isinstance(value, str)}
        many = {name: [one for one in data.getlist(name) if isinstance(one, str) and one] for name in lists}
    given: dict[str, Any] = {name: value for name, value in typed.items() if value != ""}
    for name, values in many.items():
        if values:
            typed[name], given[name] = "\n".join(values), values
    try:
        return Form(typed, model.model_validate({**given, **extra}))
    except ValidationError as error:
        return Form(typed, None, dict(describe_errors(error)))


def describe_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Returns field name and message of each error, never the given value."""
    return [
        (".".join(str(part) for part in item["loc"]), item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]
