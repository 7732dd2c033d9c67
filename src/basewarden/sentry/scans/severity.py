"""How bad a finding is: what the rule says, raised and lowered by what was proved and what is at stake. Pure."""

from collections.abc import Sequence
from typing import Final

from basewarden.sentry.rule import ProbeAttempt, Severity
from basewarden.sentry.scans.probing import Proof

_READ: Final = frozenset({ProbeAttempt.SELECT})
_LOWER: Final = {Severity.CRITICAL: Severity.WARNING, Severity.WARNING: Severity.INFO, Severity.INFO: Severity.INFO}


def weigh(severity: Severity, proof: Proof, attempts: Sequence[ProbeAttempt] = ()) -> Severity:
    """A stranger who reads sensitive columns or changes rows is the worst, and so is one who reaches more than a user.

    That is a policy turned upside down. What everyone is refused is never the worst. Where the verdict is about
    writes, and each of `attempts` was refused, it is less.
    """
    if proof.sensitive or proof.is_inverted or proof.is_written:
        return Severity.CRITICAL
    if not _READ.issuperset(attempts) and proof.disproves(attempts):
        return _LOWER[severity]
    if severity is Severity.CRITICAL and proof.is_denied(attempts or _READ):
        return Severity.WARNING
    return severity
