"""Letters: posted with the change they tell of, sent by SMTP, erased once they are gone."""

from basewarden.mail.letters import Letter, render_letter
from basewarden.mail.models import LetterState
from basewarden.mail.queries import LetterRecord, count_letters, find_last_letter, forget_letters, list_letters
from basewarden.mail.report import describe_letters
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.service import LETTER_PRUNERS, Mail
from basewarden.mail.smtp import SmtpCheck, check_smtp

__all__ = [
    "LETTER_PRUNERS",
    "Letter",
    "LetterRecord",
    "LetterState",
    "Mail",
    "MailServer",
    "SmtpCheck",
    "check_smtp",
    "count_letters",
    "describe_letters",
    "find_last_letter",
    "forget_letters",
    "list_letters",
    "read_mail_server",
    "render_letter",
]
