"""What the sidebar of a connection counts: sessions that need a look, blocked requests, agents."""

from basewarden.journal.sidebar.service import SidebarCounts

__all__ = ["SidebarCounts"]
