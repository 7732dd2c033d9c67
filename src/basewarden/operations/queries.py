"""All SQL of operations. What is a feature's is asked of that feature."""

from pgrest import Statement

PING = Statement("SELECT 1")
