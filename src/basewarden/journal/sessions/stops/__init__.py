"""Which agents are stopped, and what that makes of their sessions."""
