class GivingUpError(Exception):
    """Going on or trying again would not help: one sentence for the operator."""
