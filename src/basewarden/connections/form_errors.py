"""Why a database or a project cannot be used, beside the field of the form, with the address that was typed there."""

from collections.abc import Mapping
from typing import Final

from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.urls import parse_project_url
from basewarden.connections.urls import PostgresAddress, URLError, parse_postgres_url
from basewarden.core.brief import make_brief
from basewarden.core.secret import Secret
from basewarden.errors import AppError, Invalid

HIDDEN: Final = "••••••••"
_AT_PLACE: Final[Mapping[Reason, str]] = {
    Reason.UNRESOLVED: "The host name {host} does not exist.",
    Reason.ADDRESS_REFUSED: "{host} has a private or reserved address.",
    Reason.REFUSED: "No server is listening at {host}, port {port}.",
    Reason.UNREACHABLE: "{host} cannot be reached over the network.",
    Reason.TIMED_OUT: "{host}, port {port}, did not answer in time.",
    Reason.NOT_POSTGRES: "The server at {host}, port {port}, is not PostgreSQL.",
}


def as_field_error(error: AppError, typed: Mapping[str, str]) -> AppError:
    """Shows a failed probe beside the field that was probed."""
    if not isinstance(error, ConnectionFailed):
        return error
    said = f" The server said: {error.details['server']}" if "server" in error.details else ""
    sentence = _name_place(error, typed.get(error.field_name, ""))
    return Invalid(details=[{"field": error.field_name, "message": sentence + said}], hint=error.hint)


def find_hint(error: AppError | None) -> dict[str, str]:
    """Returns a failed probe's hint by the field that it is about."""
    return {error.field_name: error.hint} if isinstance(error, ConnectionFailed) and error.hint else {}


def mask_secret(field: str, typed: str) -> str:
    """Returns a connection string with dots for its password, and only dots for any other secret."""
    try:
        address = parse_postgres_url(Secret(typed)) if field == "postgresUrl" else None
    except URLError:
        return HIDDEN
    if address is None or "@" in address.database:  # what precedes an unescaped @ may be a part of the password
        return HIDDEN
    return _mask(address)


def _name_place(error: ConnectionFailed, typed: str) -> str:
    if error.reason not in _AT_PLACE:
        return error.text
    try:
        address = parse_project_url(typed) if error.field_name == "url" else parse_postgres_url(Secret(typed))
    except URLError:
        return error.text
    return _AT_PLACE[error.reason].format(host=make_brief(address.host), port=address.port)


def _mask(address: PostgresAddress) -> str:
    user, database = make_brief(address.user), make_brief(address.database)
    host = f"[{address.host}]" if ":" in address.host else make_brief(address.host)
    return f"postgresql://{user}:••••@{host}:{address.port}/{database}"
