"""The links of invitations: 256 random bits, of which only a hash is stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

TTL: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, repr=False)
class InvitationLink:
    """The URL for an email; the token itself is not stored."""

    url: str
    expires_at: datetime


def make_invitation_path(token: str) -> str:
    return f"/invitations/{token}"
