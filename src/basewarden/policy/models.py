"""The table of what agents have used lately. All processes count in it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base


class AgentUse(Base):
    """The rows that an agent has written and read in one minute; only agents with limits by the hour have any."""

    __tablename__ = "agent_use"

    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    rows_written: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows_read: Mapped[int] = mapped_column(BigInteger, server_default="0")
