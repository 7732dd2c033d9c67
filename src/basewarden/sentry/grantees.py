"""Who the strangers of a finding are: in words, and as GRANT and REVOKE name them."""

from collections.abc import Sequence

from pgrest import quote_ident

NO_ROLES = "public"
"""What a rule's query calls every role that may sign in, where a database has none of the API's roles."""


def describe_callers(roles: Sequence[str]) -> str:
    """As a title has them, behind the name of what they reach."""
    if NO_ROLES in roles:
        return "every role that may sign in"
    return "anyone with the public key" if "anon" in roles else "everyone who signs up"


def is_open_to_anyone(roles: Sequence[str]) -> bool:
    """Signing up is not even needed."""
    return "anon" in roles or NO_ROLES in roles


def list_grantees(roles: Sequence[str]) -> str:
    """PUBLIC comes first: the roles have what it has."""
    return ", ".join(["PUBLIC", *(quote_ident(role) for role in roles if role != NO_ROLES)])
