"""Reads the mail server and its encryption from SMTP_URL and EMAIL_FROM.

`smtps://` is TLS from the first byte. `smtp://` requires STARTTLS before anything else is sent. Only a host of a
private network (a loopback or private address, a name without a dot) may be reached without encryption: by default
where no password is sent, and with `?starttls=0` where one is. `?starttls=1` requires encryption there too.
Certificates are always checked; `?ca=/path/to/ca.pem` trusts one more authority.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from basewarden.core.secret import Secret
from basewarden.errors import StartError
from basewarden.settings import Settings

_PORTS = {"smtp": 587, "smtps": 465}
_SHAPE = "SMTP_URL must look like smtp://user:password@host:587 or smtps://user:password@host:465"


@dataclass(frozen=True)
class MailServer:
    """`sender` is EMAIL_FROM. `is_tls` means TLS from the first byte, `is_starttls` an upgrade before anything else."""

    host: str
    port: int
    is_tls: bool
    is_starttls: bool
    user: str | None
    password: Secret | None
    ca_file: Path | None
    sender: Address
    own_name: str

    def make_tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context


def read_mail_server(settings: Settings) -> MailServer | None:
    """None where no mail is configured. A bad setting is a StartError that shows no password."""
    if not settings.smtp_url:
        return None
    parts, port = _split(settings.smtp_url)
    options = _read_options(parts)
    host = parts.hostname or ""
    user, password = unquote(parts.username or "") or None, unquote(parts.password or "") or None
    return MailServer(
        host=host,
        port=port,
        is_tls=parts.scheme == "smtps",
        is_starttls=_decide_starttls(parts, options.get("starttls"), has_login=user is not None),
        user=user,
        password=None if password is None else Secret(password),
        ca_file=_find_ca_file(options.get("ca")),
        sender=_read_sender(settings.email_from),
        own_name=_find_own_name(settings.origin),
    )


def _split(url: Secret) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url.reveal())
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise StartError(f"{_SHAPE}.") from None
    if not parts.hostname or parts.path not in ("", "/") or parts.fragment or (parts.password and not parts.username):
        raise StartError(f"{_SHAPE}; write special characters of the password as %40 and so on.")
    return parts, port


def _read_options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.keys() - {"starttls", "ca"} or options.get("starttls", "1") not in ("0", "1"):
        raise StartError("SMTP_URL only accepts the options starttls=0, starttls=1 and ca=<file>.")
    return options


def _decide_starttls(parts: SplitResult, asked: str | None, *, has_login: bool) -> bool:
    if parts.scheme == "smtps":
        if asked is not None:
            raise StartError("SMTP_URL: smtps:// is always encrypted and does not accept the starttls option.")
        return False
    if not _is_own_network(parts.hostname or ""):
        if asked == "0":
            raise StartError("SMTP_URL: starttls=0 is for hosts of a private network only.")
        return True
    return has_login if asked is None else asked == "1"


def _is_own_network(host: str) -> bool:
    """Decided by the text, not by DNS: a name without a dot is a container or a machine on the same network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return address.is_private or address.is_loopback


def _find_ca_file(path: str | None) -> Path | None:
    if path is None:
        return None
    try:
        ssl.create_default_context().load_verify_locations(path)
    except (OSError, ValueError):  # an SSLError is an OSError
        raise StartError("SMTP_URL: the ca file cannot be read, or holds no certificate.") from None
    return Path(path)


def _read_sender(email_from: str | None) -> Address:
    if not email_from:
        raise StartError("EMAIL_FROM is required with SMTP_URL: it is the sender of emails.")
    message = EmailMessage(policy=policy.SMTP)
    try:
        message["From"] = email_from
        header = cast("AddressHeader", message["From"])
        (sender,) = header.addresses
    except (ValueError, IndexError):
        sender = Address()
    if not sender.username or not sender.domain or not email_from.isprintable():
        raise StartError("EMAIL_FROM must look like Basewarden <hello@example.com>.")
    return sender


def _find_own_name(origin: str) -> str:
    """The name for EHLO: the host of our origin, not the name of the machine."""
    host = urlsplit(origin).hostname or ""
    return host if host.isascii() and ":" not in host and host else "localhost"
