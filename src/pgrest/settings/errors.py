class BadSettings(ValueError):
    """One sentence for the operator. It names the setting, and quotes its value only where that is no secret."""
