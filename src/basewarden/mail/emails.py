"""An email before it is posted: what it says, made from the templates of the feature that writes it."""

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
    """`good_until` is when its link ends: it is not worth sending after that. A subject is always one line.

    `reply_to` is an address that an answer goes to instead of EMAIL_FROM.
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
    """As it stands in a command to the mail server, a domain of other letters spelled in ASCII; Invalid for no address.

    One's own network may have names that the rest of the world has not.
    """
    given = address[: MAX_ADDRESS_LENGTH + 1]  # what is too long is told so, before anybody reads a megabyte
    try:
        found = validate_email(given, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise Invalid.field("email", "must be an e-mail address") from None
    return f"{found.local_part}@{found.ascii_domain}"


def seal_content(email: Email) -> Secret:
    """A link in an email is as good as a password: in the database it lies sealed."""
    content = {"subject": email.subject, "text": email.text, "html": email.html, "reply_to": email.reply_to}
    return Secret(json.dumps(content))


def render_email(template: str, **context: Any) -> tuple[str, str, str]:
    """Subject, text and HTML of `accounts/emails/reset`, which is `accounts/templates/emails/reset.txt` and `.html`.

    The text begins with a line `Subject: …`. The HTML extends `mail/email.html` and fills its block `body`.
    What a person has chosen (a name) goes through the filter `line`, so that it cannot grow to an email of its own.
    """
    environment = _make_environment()
    head, _, text = environment.get_template(f"{template}.txt").render(context).partition("\n")
    if not head.startswith(_SUBJECT):
        raise ValueError(f"{template}.txt does not begin with a subject")
    subject = shorten(head.removeprefix(_SUBJECT), MAX_SUBJECT_LENGTH)
    html = environment.get_template(f"{template}.html").render({**context, "subject": subject})
    return subject, text.strip() + "\n", html


def shorten(text: str, longest: int = MAX_NAME_LENGTH) -> str:
    """One line without control characters and halves of characters, cut where it is too long."""
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
