"""What stopping and releasing agents does, in the words of its dialogs: the same on their pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from basewarden.connections.agent_states import AgentAction
from basewarden.connections.models import Agent, AgentState, Connection

_RUNNING = "What it is doing right now is cancelled. A write that was not committed is rolled back."
_MAY_WRITE = "What the agent has read so far no longer limits what it writes."
_PEOPLE = "People are not affected, and can undo what it wrote."


@dataclass(frozen=True, slots=True)
class StopDialog:
    """A button that leads to a question, and the question: effects, the way back, and whether a reason is required."""

    action: AgentAction
    text: str
    title: str
    effects: Sequence[str]
    way_back: str
    button: str
    icon: str
    needs_reason: bool = False

    @property
    def is_stop(self) -> bool:
        return self.action in ("pause", "freeze")


def list_agent_dialogs(agent: Agent, *, has_read: bool = False) -> list[StopDialog]:
    """Lists what can be done with an agent in its state, the strongest last; nothing for one whose token is dead.

    `has_read`: it has read what the guard counts, which a release forgets.
    """
    if agent.state in (AgentState.REVOKED, AgentState.EXPIRED):
        return []
    pause = _make_resume(agent.name) if agent.paused_at else _make_pause(agent.name)
    if agent.frozen_at is not None:
        return [_make_release(agent, has_read=has_read)]
    return [pause, _make_freeze(agent.name)]


def find_agent_dialog(agent: Agent, action: str, *, has_read: bool = False) -> StopDialog | None:
    found = next((one for one in list_agent_dialogs(agent, has_read=has_read) if one.action == action), None)
    return make_reads_dialog(agent) if found is None and action == "release" and has_read else found


def make_reads_dialog(agent: Agent) -> StopDialog:
    """Makes the one for an agent that is not frozen and whose writes are guarded."""
    return StopDialog(
        "release",
        "Release…",
        f"Release “{agent.name}” from what it has read?",
        [_MAY_WRITE, "What it reads from then on counts again."],
        "Partly. What it writes from then on can be undone; what it has read, it keeps.",
        "Release agent",
        "check",
        needs_reason=True,
    )


def make_connection_dialog(connection: Connection) -> StopDialog:
    """Makes the one that the connection's state allows."""
    if connection.agents_frozen_at is None:
        return StopDialog(
            "freeze",
            "Freeze all agents…",
            "Freeze all agents?",
            [
                "Every request of every agent on this connection is refused at once.",
                "What they are doing right now is cancelled. A write that was not committed is rolled back.",
                "People are not affected, and can undo what agents wrote.",
            ],
            "Yes. An editor releases them, and each is then as it was before.",
            "Freeze all agents",
            "lock",
        )
    return StopDialog(
        "release",
        "Release agents…",
        "Release all agents?",
        ["Agents can work again at once.", "An agent that was paused or frozen by itself stays so."],
        "Yes. You can freeze them again.",
        "Release agents",
        "check",
        needs_reason=True,
    )


def make_session_dialog(*, has_read: bool = False) -> StopDialog:
    """Makes the one for a session that is frozen, or whose agent has read what the guard counts."""
    return StopDialog(
        "release",
        "Release…",
        "Release this session?",
        ["It accepts writes again, with a full new budget.", *([_MAY_WRITE] if has_read else [])],
        "Yes. You can freeze it again.",
        "Release session",
        "check",
        needs_reason=True,
    )


def _make_pause(name: str) -> StopDialog:
    return StopDialog(
        "pause",
        "Pause…",
        f"Pause “{name}”?",
        ["Its new requests are refused. What it has begun is finished."],
        "Yes. An editor resumes it.",
        "Pause agent",
        "pause",
    )


def _make_resume(name: str) -> StopDialog:
    return StopDialog(
        "resume",
        "Resume…",
        f"Resume “{name}”?",
        ["Its requests are accepted again, within the same limits."],
        "Yes. You can pause it again.",
        "Resume agent",
        "check",
    )


def _make_freeze(name: str) -> StopDialog:
    return StopDialog(
        "freeze",
        "Freeze…",
        f"Freeze “{name}”?",
        ["Its requests are refused at once, in every session.", _RUNNING, _PEOPLE],
        "Yes. An editor releases it.",
        "Freeze agent",
        "lock",
    )


def _make_release(agent: Agent, *, has_read: bool) -> StopDialog:
    effects = ["Its requests are accepted again, within the same limits."]
    if agent.paused_at is not None:
        effects = ["It is paused too, and stays so until it is resumed."]
    return StopDialog(
        "release",
        "Release…",
        f"Release “{agent.name}”?",
        [*effects, "A session that is frozen by itself stays frozen.", *([_MAY_WRITE] if has_read else [])],
        "Yes. You can freeze it again.",
        "Release agent",
        "check",
        needs_reason=True,
    )
