"""What roles mean, and what each change of a member does, as the pages and dialogs write it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from basewarden.connections.invitations.queries import ListedInvitation
from basewarden.connections.members.queries import ListedMember
from basewarden.connections.models import Connection, Role

ROLE_CHOICES: Final = (
    (Role.VIEWER.value, "Viewer", "Sees the data, sessions and agents, and changes nothing."),
    (Role.EDITOR.value, "Editor", "Also changes rows, undoes changes, and freezes and releases agents."),
)
"""The roles that an owner gives, as a form offers them: value, text, explanation."""

_TWO_FACTOR_PATH = "two-factor"
_APPROVALS_PATH = "approvals"
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class MemberAction:
    """What a dialog asks before a member changes: its words, its path below the list, and the word of its button."""

    path: str
    title: str
    effects: tuple[str, ...]
    way_back: str
    button: str
    needs_identity: bool = False
    """It needs a recent sign-in."""
    is_danger: bool = True
    """It takes something away, and does not protect more than before."""
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Hidden fields of the form."""


def describe_removal(member: ListedMember) -> MemberAction:
    return MemberAction(
        f"{member.user_id}/remove",
        f"Remove {member.shown_name}?",
        (
            "They lose access at once, in every open page.",
            "What they wrote stays in the journal under their name, and can still be undone.",
            "Agents that they created keep working.",
        ),
        "Yes. You can invite them again.",
        "Remove member",
    )


def describe_own_removal(connection: Connection) -> MemberAction:
    return MemberAction(
        "leave",
        f"Leave “{connection.name}”?",
        ("You lose access at once.", "What you wrote stays in the journal under your name."),
        "Only an owner can invite you again.",
        "Leave connection",
    )


def describe_transfer(member: ListedMember) -> MemberAction:
    return MemberAction(
        f"{member.user_id}/owner",
        f"Make {member.shown_name} the owner?",
        (
            "Only they can then change its settings, agents and members, and delete it.",
            "You become an editor.",
            "The connection counts against the new owner's plan.",
        ),
        "No. Only the new owner can make you the owner again.",
        "Transfer ownership",
        needs_identity=True,
    )


def describe_role_change(member: ListedMember) -> MemberAction:
    return MemberAction(
        f"{member.user_id}/role",
        f"Change the role of {member.shown_name}",
        ("The new role holds at their next request.",),
        "Yes. You can change it again.",
        "Change role",
    )


def describe_revocation(invitation: ListedInvitation) -> MemberAction:
    return MemberAction(
        f"invitations/{invitation.id}/revoke",
        "Revoke this invitation?",
        (f"The link that was sent to {invitation.email} stops working.",),
        "Yes. You can invite the address again.",
        "Revoke invitation",
    )


def describe_two_factor(connection: Connection, members: Sequence[ListedMember]) -> MemberAction:
    """Requires it, or stops requiring it."""
    if connection.requires_two_factor:
        return MemberAction(
            _TWO_FACTOR_PATH,
            "Stop requiring two-factor authentication?",
            ("Members can open this connection with their password alone.",),
            "Yes. You can require it again.",
            "Stop requiring it",
            needs_identity=True,
            hidden={"required": "0"},
        )
    return MemberAction(
        _TWO_FACTOR_PATH,
        "Require two-factor authentication?",
        (_describe_locked_out(members), "Agents are not affected."),
        "Yes. You can stop requiring it.",
        "Require two-factor",
        needs_identity=True,
        is_danger=False,
        hidden={"required": "1"},
    )


def describe_approvals(connection: Connection) -> MemberAction:
    """Requires another person's approval, or stops requiring it."""
    if connection.approval_by_another:
        return MemberAction(
            _APPROVALS_PATH,
            "Let creators of agents approve?",
            ("The person who created an agent can then approve what it proposes.",),
            "Yes. You can require another person again.",
            "Let them approve",
            needs_identity=True,
            hidden={"byAnother": "0"},
        )
    return MemberAction(
        _APPROVALS_PATH,
        "Require another person's approval?",
        (
            "What an agent proposes must be approved by an editor or owner who did not create it.",
            "If you are alone on this connection, proposals of your agents can then only be declined.",
        ),
        "Yes. You can stop requiring it.",
        "Require approval",
        is_danger=False,
        hidden={"byAnother": "1"},
    )


def _describe_locked_out(members: Sequence[ListedMember]) -> str:
    """Names the members who would have no access, the first ones of many."""
    names = [member.shown_name for member in members if not member.has_two_factor]
    if not names:
        return "Every member has it on. New members need it too."
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"Until they turn it on, the connection does not open for {shown}{more}."
