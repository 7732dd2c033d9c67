"""All SQL of operations. What is a feature's is asked of that feature."""

from basewarden.pgrest import Statement

PING = Statement("SELECT 1")
