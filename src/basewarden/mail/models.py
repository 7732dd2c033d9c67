"""Emails that were queued, and their state."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base
from basewarden.vault import sealed_column


class EmailState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"


class StoredEmail(Base):
    """`sealed_content` holds subject, text and HTML as JSON while the email is queued, and nothing afterwards.

    While a process sends it, no other process may until `claimed_until`. It is claimed, not locked, so that no
    database connection is held while the mail server is awaited. `last_error` is the error's class and the server's
    code, never text of the email or of the server.
    """

    __tablename__ = "letters"
    __table_args__ = (
        Index("ix_letters_user_id_kind_created_at", "user_id", "kind", "created_at"),
        Index("ix_letters_state_created_at", "state", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    sealed_content: Mapped[bytes | None] = sealed_column(nullable=True)
    state: Mapped[str] = mapped_column(Text, server_default=EmailState.QUEUED)
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    good_until: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
