"""The error tree. What is raised anywhere in a feature ends here or is a 500.

AppError
├── BadRequest 400 ── BadJSON
├── Unauthenticated 401
├── Forbidden 403
├── NotFound 404
├── Conflict 409
├── TooLarge 413
├── Invalid 422
├── TooMany 429
└── Unavailable 503 ── NotConfigured

Each class states `status`, `code` and a `message` that is safe to show to a stranger. A class that does
not fails when it is defined, so that no error becomes a 500 by accident.
"""

from typing import Any, ClassVar


class AppError(Exception):
    """The base; cannot be raised itself. `details` and `hint` go to the caller as they are."""

    status: ClassVar[int]
    code: ClassVar[str]
    message: ClassVar[str]
    page_href: str | None = None
    """Where a page redirects to instead of showing the error: a path of this site."""

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        if type(self) is AppError:
            raise TypeError("raise a subclass of AppError that states its status, code and message")
        self.text = message or self.message
        self.details = details
        self.hint = hint
        self.headers = headers or {}
        super().__init__(self.text)

    def __init_subclass__(cls) -> None:
        for name in ("status", "code", "message"):
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} must state its {name}")

    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.text, "details": self.details, "hint": self.hint}


class BadRequest(AppError):
    status = 400
    code = "bad_request"
    message = "The request is malformed."


class BadJSON(BadRequest):
    code = "bad_json"
    message = "The body is not valid JSON."


class Unauthenticated(AppError):
    status = 401
    code = "unauthenticated"
    message = "Sign in, or send a valid token."


class Forbidden(AppError):
    status = 403
    code = "forbidden"
    message = "You may not do this."


class NotFound(AppError):
    status = 404
    code = "not_found"
    message = "Not found. It may have been deleted, or you have no access to it."


class MethodNotAllowed(AppError):
    status = 405
    code = "method_not_allowed"
    message = "This address does not take this kind of request."


class Conflict(AppError):
    status = 409
    code = "conflict"
    message = "This conflicts with the current state. Reload and try again."


class TooLarge(AppError):
    status = 413
    code = "too_large"
    message = "The body is too large."


class Invalid(AppError):
    """`details` is a list of `{"field", "message"}`."""

    status = 422
    code = "validation_failed"
    message = "Some fields are not valid."

    @classmethod
    def field(cls, name: str, message: str) -> "Invalid":
        return cls(details=[{"field": name, "message": message}])


class TooMany(AppError):
    status = 429
    code = "rate_limited"
    message = "Too many requests. Wait a moment and try again."

    @classmethod
    def retry_after(cls, seconds: float, message: str | None = None) -> "TooMany":
        return cls(message, headers={"Retry-After": str(max(1, round(seconds)))})


class Unavailable(AppError):
    status = 503
    code = "unavailable"
    message = "A required service cannot be reached. Try again in a moment."


class NotConfigured(Unavailable):
    code = "not_configured"
    message = "This deployment is not configured for that."


class StartError(Exception):
    """The program cannot start; its text is one sentence for the operator."""
