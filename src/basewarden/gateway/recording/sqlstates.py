"""The SQLSTATE codes that decide how a write goes on."""

DEADLOCK_DETECTED = "40P01"
FEATURE_NOT_SUPPORTED = "0A000"
INSUFFICIENT_PRIVILEGE = "42501"
INVALID_PARAMETER_VALUE = "22023"
UNDEFINED_COLUMN = "42703"

CONNECTION_LOST = ("08", "57")
"""The classes of errors after which only the database knows whether a COMMIT took effect."""
