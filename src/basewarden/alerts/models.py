"""The tables of alerts, of the events that wait for a message, and of the messages with their results."""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base
from basewarden.vault import sealed_column


class AlertChannel(StrEnum):
    WEBHOOK = "webhook"
    SLACK = "slack"
    DISCORD = "discord"
    EMAIL = "email"


class AlertState(StrEnum):
    WORKING = "working"
    FAILING = "failing"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    GONE = "gone"
    FAILING = "failing"
    NO_EDITOR = "no_editor"


class DeliveryState(StrEnum):
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class Alert(Base):
    """Messages go to the sealed target, a URL, or by email to the member `user_id`.

    `failing_since` is the first failed attempt since the last successful one. A disabled alert collects no events.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("(channel = 'email') = (user_id IS NOT NULL)", name="person"),
        CheckConstraint("(user_id IS NULL) = (sealed_target IS NOT NULL)", name="target"),
        Index("ix_alerts_connection_id_id", "connection_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    sealed_target: Mapped[bytes | None] = sealed_column(nullable=True)
    target_hint: Mapped[str | None] = mapped_column(Text)  # the host, and the end of the URL
    sealed_secret: Mapped[bytes | None] = sealed_column(nullable=True)
    sealed_old_secret: Mapped[bytes | None] = sealed_column(nullable=True)
    old_secret_until: Mapped[datetime | None]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    failing_since: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def state(self) -> AlertState:
        if self.disabled_at is not None:
            return AlertState.DISABLED
        return AlertState.WORKING if self.failing_since is None else AlertState.FAILING

    @property
    def has_old_secret(self) -> bool:
        """Whether messages are signed with the secret before the last one too."""
        return self.old_secret_until is not None and self.old_secret_until > datetime.now(UTC)


class WaitingEvent(Base):
    """What happened to one session, refusal or undo since the last message about it; triggers add it (migration 0019).

    It is deleted when it becomes a part of a message.
    """

    __tablename__ = "alert_events"
    __table_args__ = (UniqueConstraint("alert_id", "event", "subject_id", name="uq_alert_events_subject"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    reason: Mapped[str | None] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class AlertDelivery(Base):
    """One message about `count` events. `payload` is the JSON that a webhook gets, byte for byte.

    While a process sends it, no other process may until `claimed_until`. `answer` is the beginning of what the
    receiver answered, `error` a sentence of ours.
    """

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        Index("ix_alert_deliveries_alert_id_created_at_id", "alert_id", "created_at", "id"),
        Index("ix_alert_deliveries_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger)
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default="0")
    status: Mapped[int | None]
    answer: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempted_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
