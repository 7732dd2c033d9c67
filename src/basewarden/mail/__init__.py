"""Emails are queued with the change they report, sent by SMTP, and erased after that."""

from basewarden.mail.emails import Email, render_email
from basewarden.mail.models import EmailState
from basewarden.mail.queries import EmailRecord, count_emails, delete_person_emails, find_last_email, list_emails
from basewarden.mail.report import describe_emails
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.service import EMAIL_PRUNERS, Mail
from basewarden.mail.smtp import check_smtp

__all__ = [
    "EMAIL_PRUNERS",
    "Email",
    "EmailRecord",
    "EmailState",
    "Mail",
    "MailServer",
    "check_smtp",
    "count_emails",
    "delete_person_emails",
    "describe_emails",
    "find_last_email",
    "list_emails",
    "read_mail_server",
    "render_email",
]
