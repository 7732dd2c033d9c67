"""Forms of server-rendered pages: the same models as the JSON API, with the errors put beside the fields."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from basewarden.errors import AppError, Invalid
from basewarden.web.pages import Pages

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Form(Generic[M]):
    """What was typed, kept for the page, and a valid `data` or `errors` by field name ("" = the whole)."""

    typed: dict[str, str]
    data: M | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def with_error(self, message: str, name: str = "") -> "Form[M]":
        return Form(self.typed, None, {**self.errors, name: message})

    def with_app_error(self, error: AppError) -> "Form[M]":
        """A refused field's sentence beside that field, any other refusal above the whole."""
        if isinstance(error, Invalid) and isinstance(error.details, list):
            return Form(self.typed, None, {item["field"]: item["message"] for item in error.details})
        return self.with_error(error.text)


def show_again(
    request: Request,
    pages: Pages,
    template: str,
    form: Form[Any],
    error: AppError | None = None,
    *,
    never_shown: tuple[str, ...] = (),
    **context: Any,
) -> Response:
    """The page of a form that was refused: what was typed stays, but for what is never shown."""
    refused = form if error is None else form.with_app_error(error)
    typed = {name: value for name, value in form.typed.items() if name not in never_shown}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error is None else error.status
    response = pages.render(request, template, status=status, typed=typed, errors=refused.errors, **context)
    response.headers.update({} if error is None else error.headers)
    return response


async def parse_form(request: Request, model: type[M], **extra: Any) -> Form[M]:
    """An empty field counts as not given; `extra` fills or overrides what the form cannot say."""
    async with request.form(max_files=0, max_fields=1000) as data:
        typed = {name: value for name, value in data.items() if isinstance(value, str)}
    given: dict[str, Any] = {name: value for name, value in typed.items() if value != ""}
    try:
        return Form(typed, model.model_validate({**given, **extra}))
    except ValidationError as error:
        return Form(typed, None, dict(describe_errors(error)))


def describe_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Field name and a sentence for each; never the value that was given."""
    return [
        (".".join(str(part) for part in item["loc"]), item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]
