"""What the journal holds of single agents, for their pages."""

from basewarden.journal.agents.service import count_agent_activity, list_agent_rows, read_agent_history

__all__ = ["count_agent_activity", "list_agent_rows", "read_agent_history"]
