from basewarden.errors import AppError


class SessionFrozen(AppError):
    status = 423
    code = "session_frozen"
    message = "This session has used up the writes or rows that its token allows."


class JournalUnavailable(AppError):
    status = 503
    code = "journal_unavailable"
    message = "The journal cannot be written, so nothing was changed. Try again."
