"""Approving what agents propose: routes of members, and running what was approved."""
