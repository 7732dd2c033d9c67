from uuid import UUID

from basewarden.errors import AppError


class SessionFrozen(AppError):
    status = 423
    code = "session_frozen"
    message = "This session has used up the writes or rows that its token allows."


class JournalUnavailable(AppError):
    status = 503
    code = "journal_unavailable"
    message = "The journal cannot be written, so nothing was changed. Try again."


def make_frozen_error(session_id: UUID | None, label: str | None, *, is_by_member: bool) -> SessionFrozen:
    """`label` is the client's own name for the session; without one it gets another session after a pause."""
    hint = "It stays frozen until an editor of the connection releases it"
    return SessionFrozen(
        "A member of this connection has frozen this session." if is_by_member else None,
        details={"sessionId": str(session_id)},
        hint=f"{hint}." if label is not None else f"{hint}; a new one begins after five idle minutes.",
    )
