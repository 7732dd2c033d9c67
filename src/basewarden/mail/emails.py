"""Renders an email from the templates of the feature that sends it."""

import json
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, select_autoescape

from basewarden.core.secret import Secret
from basewarden.errors import Invalid

MAX_ADDRESS_LENGTH = 320
MAX_SUBJECT_LENGTH = 200
MAX_NAME_LENGTH = 80
_SUBJECT = "Subject:"
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Email:
    """`good_until` is when its link expires; it is not sent after that. A subject is always one line.

    Replies go to `reply_to` instead of EMAIL_FROM.
    """

    kind: str
    address: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    user_id: UUID | None = None
    good_until: datetime | None = None
    reply_to: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        resolve_address(self.address)
        if self.reply_to is not None:
            resolve_address(self.reply_to)
        object.__setattr__(self, "subject", shorten(self.subject, MAX_SUBJECT_LENGTH))


def resolve_address(address: str) -> str:
    """The address as SMTP commands have it, with the domain in ASCII; Invalid where it is not an address.

    Names of a private network are allowed as domains.
    """
    given = address[: MAX_ADDRESS_LENGTH + 1]  # the check takes long for a megabyte
    try:
        found = validate_email(given, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise Invalid.field("email", "must be an email address") from None
    return f"{found.local_part}@{found.ascii_domain}"


def seal_content(email: Email) -> Secret:
    """Sealed in the database, because a link in an email is worth as much as a password."""
    content = {"subject": email.subject, "text": email.text, "html": email.html, "reply_to": email.reply_to}
    return Secret(json.dumps(content))


def render_email(template: str, **context: Any) -> tuple[str, str, str]:
    """Subject, text and HTML of `accounts/emails/reset`, which is `accounts/templates/emails/reset.txt` and `.html`.

    The text begins with a line `Subject: …`. The HTML extends `mail/email.html` and fills its block `body`.
    Text that a person has chosen, such as a name, goes through the filter `line`, so that it stays short.
    """
    environment = _make_environment()
    head, _, text = environment.get_template(f"{template}.txt").render(context).partition("\n")
    if not head.startswith(_SUBJECT):
        raise ValueError(f"{template}.txt does not begin with a subject")
    subject = shorten(head.removeprefix(_SUBJECT), MAX_SUBJECT_LENGTH)
    html = environment.get_template(f"{template}.html").render({**context, "subject": subject})
    return subject, text.strip() + "\n", html


def shorten(text: str, longest: int = MAX_NAME_LENGTH) -> str:
    """One line without control characters and surrogates, cut to `longest` characters."""
    printable = "".join(
        " " if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") else one for one in text[: 4 * longest]
    )
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


@cache
def _make_environment() -> Environment:
    folders = {path.parent.name: FileSystemLoader(path) for path in _PACKAGE.glob("*/templates")}
    environment = Environment(
        loader=PrefixLoader(folders),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = shorten
    return environment
