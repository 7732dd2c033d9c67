"""What stops agents, what they are answered then, and how every process learns of it at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args
from uuid import UUID

from basewarden.errors import AppError, Forbidden, Unauthenticated

STOP_TOPIC: Final = "stop"
CONNECTION_STATE_TOPIC: Final = "connection.state"
"""All agents of a connection were frozen or released: what is cached of it is stale, and its project stays open."""
StopCode = Literal["agent_paused", "agent_frozen", "agent_revoked", "connection_frozen"]
StopKind = Literal["agent", "revoked", "connection", "session"]


class AgentPaused(Forbidden):
    code = "agent_paused"
    message = "This agent is paused. A person must decide when it continues."


class AgentFrozen(AppError):
    status = 423
    code = "agent_frozen"
    message = "This agent is frozen. A person must decide whether it continues."


class ConnectionFrozen(AppError):
    status = 423
    code = "connection_frozen"
    message = "All agents of this connection are frozen. A person must decide whether they continue."


_ERRORS: Final[Mapping[StopCode, Callable[[], AppError]]] = {
    "agent_paused": AgentPaused,
    "agent_frozen": AgentFrozen,
    "agent_revoked": Unauthenticated,
    "connection_frozen": ConnectionFrozen,
}


@dataclass(frozen=True, slots=True)
class Stop:
    """Running requests that end now: of the agent or connection `id`, or its writes to the session `session_id`.

    `label` is the client's own name for that session.
    """

    kind: StopKind
    id: UUID
    session_id: UUID | None = None
    label: str | None = None

    @classmethod
    def parse(cls, payload: str) -> Self:
        """Reads the payload of an announcement."""
        kind, concerned, session, label = payload.split(" ", 3)
        known: StopKind = next(one for one in get_args(StopKind) if one == kind)
        return cls(known, UUID(concerned), None if session == "-" else UUID(session), label or None)

    def encode(self) -> str:
        return " ".join((self.kind, str(self.id), str(self.session_id or "-"), self.label or ""))

    @property
    def code(self) -> StopCode | None:
        """Returns why; None for a session, whose error says more."""
        codes: Mapping[StopKind, StopCode] = {
            "agent": "agent_frozen",
            "revoked": "agent_revoked",
            "connection": "connection_frozen",
        }
        return codes.get(self.kind)


def make_stop_error(code: StopCode) -> AppError:
    return _ERRORS[code]()


def read_stop_code(text: str) -> StopCode:
    """Reads what SQL returns. Raises StopIteration for anything else."""
    return next(code for code in _ERRORS if code == text)


def make_stop_key(connection_id: UUID) -> str:
    """Names the lock that writes of a connection's agents share while they are stored, and a stop takes alone."""
    return f"stop:{connection_id}"
