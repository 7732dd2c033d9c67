"""Letters: posted with the change they tell of, sent by SMTP, erased once they are gone."""

from basewarden.mail.letters import Letter, render_letter
from basewarden.mail.models import LetterState
from basewarden.mail.queries import LetterRecord, find_last_letter, forget_letters, list_letters
from basewarden.mail.report import describe_letters
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.service import Mail
from basewarden.mail.smtp import SmtpCheck, check_smtp

__all__ = [
    "Letter",
    "LetterRecord",
    "LetterState",
    "Mail",
    "MailServer",
    "SmtpCheck",
    "check_smtp",
    "describe_letters",
    "find_last_letter",
    "forget_letters",
    "list_letters",
    "read_mail_server",
    "render_letter",
]
