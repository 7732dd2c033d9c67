"""The errors of connections. For a database or project that cannot be used: a code, a sentence and a hint."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from basewarden.errors import Conflict, Forbidden, Invalid, Unavailable


class Reason(StrEnum):
    UNRESOLVED = "unresolved"
    ADDRESS_REFUSED = "address_refused"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    NOT_POSTGRES = "not_postgres"
    TLS_REFUSED = "tls_refused"
    TLS_REQUIRED = "tls_required"
    CERTIFICATE_INVALID = "certificate_invalid"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason, not a password
    NO_SUCH_DATABASE = "no_such_database"
    NO_SUCH_ROLE = "no_such_role"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NOT_READY = "not_ready"
    STATEMENT_POOLER = "statement_pooler"
    VERSION_UNSUPPORTED = "version_unsupported"
    SERVER_REFUSED = "server_refused"
    WRONG_KEY = "wrong_key"
    NOT_REST = "not_rest"
    REDIRECTS = "redirects"
    PROJECT_PAUSED = "project_paused"
    PROJECT_AWAY = "project_away"
    TOO_MANY_REQUESTS = "too_many_requests"


Field = Literal["postgresUrl", "url", "key"]


_SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.UNRESOLVED: (
        "The host name of the URL does not exist.",
        "Check it for typing errors. Host names of a private network are not known here.",
    ),
    Reason.ADDRESS_REFUSED: (
        "The host of the URL has a private or reserved address.",
        "Use the public host. When self-hosting, BASEWARDEN_ALLOW_PRIVATE_ADDRESSES=1 allows private ones.",
    ),
    Reason.REFUSED: (
        "No server is listening at that host and port.",
        "Check the port (5432 is usual), and that the server accepts connections from outside.",
    ),
    Reason.UNREACHABLE: (
        "That host cannot be reached over the network.",
        "Check the host, and that a firewall or the database's allow list accepts this server.",
    ),
    Reason.TIMED_OUT: (
        "The host did not answer in time.",
        "A firewall may block this server. A paused project has to be resumed first.",
    ),
    Reason.NOT_POSTGRES: (
        "The server at that host and port is not PostgreSQL.",
        "Check the port: 5432 is usual for PostgreSQL; 443, 80 and 22 belong to other services.",
    ),
    Reason.TLS_REFUSED: (
        "The URL asks for TLS, but the server does not offer it.",
        "Turn on TLS in the server, or use sslmode=prefer on a private network.",
    ),
    Reason.TLS_REQUIRED: ("The server only accepts TLS connections.", "Use sslmode=require in the URL."),
    Reason.CERTIFICATE_INVALID: (
        "The server's TLS certificate could not be verified.",
        "Check the host name, or use sslmode=require if the server's certificate is self-signed.",
    ),
    Reason.WRONG_PASSWORD: (
        "The server refused this user name and password.",
        "Check both. Characters such as @ : / # in a password are written %40 %3A %2F %23 in a URL.",
    ),
    Reason.NO_SUCH_DATABASE: (
        "The server has no database of that name.",
        "The name is the part after the last slash; on Supabase it is postgres.",
    ),
    Reason.NO_SUCH_ROLE: (
        "The server has no role of that name that may log in.",
        "Check the user name. On Supabase's pooler it is <role>.<project reference>.",
    ),
    Reason.TOO_MANY_CONNECTIONS: (
        "The server has no free connections.",
        "Close some of its connections or raise max_connections, then try again.",
    ),
    Reason.NOT_READY: ("The server is starting up or shutting down.", "Try again in a moment."),
    Reason.STATEMENT_POOLER: (
        "This pooler is in statement mode, which has no transactions.",
        "Use the direct connection, or a pooler in session or transaction mode.",
    ),
    Reason.VERSION_UNSUPPORTED: (
        "This PostgreSQL is older than version 13, which the journal and undo need.",
        "Upgrade the server to a version that is still maintained.",
    ),
    Reason.SERVER_REFUSED: (
        "The server refused the connection.",
        "The server's log has more details.",
    ),
    Reason.WRONG_KEY: (
        "The project refused this key.",
        "Copy the whole key again from the project's API keys. It belongs to one project, and may have been revoked.",
    ),
    Reason.NOT_REST: (
        "The server at that URL is not a project's REST API.",
        "Use the project's URL, such as https://<project>.supabase.co, not the dashboard's or a website's.",
    ),
    Reason.REDIRECTS: (
        "The URL redirects to another address, and a key is never sent on.",
        "Use the address that it redirects to, with https.",
    ),
    Reason.PROJECT_PAUSED: (
        "The project is paused.",
        "Restore it in the dashboard, wait until it is up, and try again.",
    ),
    Reason.PROJECT_AWAY: (
        "The project's gateway responds, but the project does not.",
        "It may be starting or restarting. Check it in the dashboard, and try again in a minute.",
    ),
    Reason.TOO_MANY_REQUESTS: ("The project is limiting requests.", "Try again in a minute."),
}

_HINTS_FOR_URL: dict[Reason, str] = {
    Reason.UNRESOLVED: "Check it for typing errors. The project may have been deleted.",
    Reason.REFUSED: "Check the URL; a port is only needed when self-hosting.",
    Reason.UNREACHABLE: "Check the URL, and that a firewall accepts this server.",
    Reason.TLS_REFUSED: "Use http:// only on a private network, and https:// everywhere else.",
    Reason.CERTIFICATE_INVALID: "Use the host name of the certificate. Self-signed certificates are not accepted.",
}


class ConnectionFailed(Invalid):
    """`details` is `{"reason", "message", "field"}` and, if the server sent a message of its own, `"server"`."""

    code = "connection_failed"
    message = "The connection could not be established."

    def __init__(self, reason: Reason, *, server: str | None = None, field: Field = "postgresUrl") -> None:
        sentence, hint = _SENTENCES[reason]
        if field != "postgresUrl":
            hint = _HINTS_FOR_URL.get(reason, hint)
        self.reason = reason
        self.field_name = field
        details = {"reason": reason.value, "message": sentence, "field": field}
        super().__init__(sentence, details=details | ({"server": server} if server else {}), hint=hint)

    def for_field(self, field: Field) -> "ConnectionFailed":
        """Returns the same error for another form field: the code that connects does not know which it is."""
        return ConnectionFailed(self.reason, field=field)


class TablesUnchecked(Unavailable):
    code = "tables_unchecked"
    message = "The project cannot be reached, so its tables could not be checked. Try again."


class TwoFactorRequired(Forbidden):
    """The member has to turn it on; a page redirects to one that says so."""

    code = "two_factor_required"
    message = "This connection requires two-factor authentication. Turn it on for your account first."

    def __init__(self, connection_id: UUID) -> None:
        super().__init__()
        self.page_href = f"/c/{connection_id}/two-factor"


class TwoFactorOff(Conflict):
    code = "two_factor_off"
    message = "Turn on two-factor authentication for your own account first."
