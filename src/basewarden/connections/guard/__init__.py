"""The guard against exfiltration: a connection's settings and marks, and what agents have read."""
