"""What the login of a connection may do in the name of other roles."""

from dataclasses import dataclass
from typing import Final

from pgrest import Rows, Statement

READ_LOGIN: Final = Statement(
    "SELECT r.rolname::text, r.rolname = current_user, pg_has_role(r.oid, 'USAGE'), pg_has_role(r.oid,"
    " CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) FROM pg_roles r"
)


@dataclass(frozen=True, slots=True)
class LoginRoles:
    """`inherited`: roles whose rights it has; `assumable`: those that it may become by SET ROLE. Itself is in both."""

    name: str
    inherited: frozenset[str]
    assumable: frozenset[str]

    def may_act_as(self, role: str) -> bool:
        return role in self.inherited or role in self.assumable

    def may_grant_as(self, role: str, owner: str) -> bool:
        """The owner's grants need the owner's rights; those of another role, to be it."""
        return self.may_act_as(role) if role == owner else role == self.name or role in self.assumable

    def choose_role(self, role: str, owner: str) -> str | None:
        """Which role a GRANT or REVOKE in the name of `role` needs; None where the login's own does it."""
        if role == owner:
            return role if role in self.assumable and role not in self.inherited else None
        return None if role == self.name else role


def read_login(rows: Rows) -> LoginRoles:
    found = [tuple((one or b"").decode() for one in row) for row in rows.rows]
    return LoginRoles(
        name=next(name for name, is_self, _, _ in found if is_self == "t"),
        inherited=frozenset(name for name, _, inherits, _ in found if inherits == "t"),
        assumable=frozenset(name for name, _, _, sets in found if sets == "t"),
    )
