"""What roles mean, and what each change of a member does, as the pages and dialogs write it."""

from dataclasses import dataclass
from typing import Final

from basewarden.connections.invitations.queries import ListedInvitation
from basewarden.connections.members.queries import ListedMember
from basewarden.connections.models import Connection, Role

ROLE_CHOICES: Final = (
    (Role.VIEWER.value, "Viewer", "Sees the data, sessions and agents, and changes nothing."),
    (Role.EDITOR.value, "Editor", "Also changes rows, undoes changes, and freezes and releases agents."),
)
"""The roles that an owner gives, as a form offers them: value, text, explanation."""


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


def describe_leaving(connection: Connection) -> MemberAction:
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
