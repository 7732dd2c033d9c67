"""The identity of a finding across scans: its rule and what it is about, whatever else changed."""

from hashlib import blake2b

import msgspec

from basewarden.sentry.rule import ScannedObject


def make_fingerprint(rule: str, found: ScannedObject) -> str:
    """32 hexadecimal digits."""
    return blake2b(msgspec.json.encode([rule, *found]), digest_size=16).hexdigest()
