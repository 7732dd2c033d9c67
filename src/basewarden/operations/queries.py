"""All SQL of operations. Each feature's own figures come from that feature."""

from pgrest import Statement

PING = Statement("SELECT 1")
