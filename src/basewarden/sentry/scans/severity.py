"""How bad a finding is: what the rule says, raised and lowered by what was proved and what is at stake. Pure."""

from basewarden.sentry.rule import Severity
from basewarden.sentry.scans.probing import Proof


def weigh(severity: Severity, proof: Proof) -> Severity:
    """A stranger who reads sensitive columns is the worst, and so is one who reads what people who sign in do not.

    That is a policy turned upside down. What everyone is refused is never the worst.
    """
    if proof.sensitive or proof.is_inverted:
        return Severity.CRITICAL
    if severity is Severity.CRITICAL and proof.is_denied:
        return Severity.WARNING
    return severity
