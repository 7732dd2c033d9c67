"""The table of audit events. Its triggers (migration 0005) number, link and seal each row, and prevent changes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.audit.words import describe_client, describe_event
from basewarden.db import Base


class AuditEvent(Base):
    """`subject` is a pseudonym.

    `address`, `client` and `name` are personal and hashed with `salt`, so that all four can be erased. The database
    fills in everything except the subject, the kind, the details and the personal columns.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject_id", "subject", "id"),
        CheckConstraint("kind ~ '^[a-z_]+$'", name="kind"),
        CheckConstraint(r"concat(address, name, client) !~ '\n'", name="lines"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    subject: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    address: Mapped[str | None] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    place_digest: Mapped[bytes] = mapped_column(LargeBinary)
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)

    @property
    def words(self) -> str:
        """Returns the event in words, for the person it happened to."""
        return describe_event(self)

    @property
    def client_words(self) -> str | None:
        return describe_client(self.client) if self.client else None
