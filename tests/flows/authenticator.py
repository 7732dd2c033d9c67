"""A passkey in software: speaks WebAuthn as a browser and its device do, and lies where a test tells it to."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, CAN_BE_BACKED_UP, BACKED_UP, HAS_KEY = 0x01, 0x04, 0x08, 0x10, 0x40
Json = dict[str, Any]


def to_text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def to_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftwareAuthenticator:
    """One credential of one site. `step` is what its count goes up by: many devices stay at nought."""

    origin: str
    step: int = 0
    flags: int = PRESENT | VERIFIED
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: bytes | None = None
    count: int = 0

    @property
    def rp_id(self) -> str:
        return self.origin.partition("://")[2].partition(":")[0]

    def describe_key(self) -> Json:
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}  # type: ignore[dict-item]  # a COSE key has numbers for names

    def make(self, options: Json, **lies: Any) -> Json:
        """The answer to creation options. Lies: origin, rp_id, challenge, type, flags, key, auth_data, fmt, statement."""
        self.user_handle = to_bytes(options["user"]["id"])
        key = cbor2.dumps(lies.get("key", self.describe_key()))
        credential = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + key
        data = self._describe_state(lies, HAS_KEY) + credential
        attestation = {
            "fmt": lies.get("fmt", "none"),
            "attStmt": lies.get("statement", {}),
            "authData": lies.get("auth_data", data),
        }
        client_data = self._describe_client("webauthn.create", options, lies)
        return {
            "id": to_text(self.credential_id),
            "rawId": to_text(self.credential_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": to_text(client_data),
                "attestationObject": to_text(cbor2.dumps(attestation)),
                "transports": ["internal", "hybrid", "internal", "telepathy"],
            },
        }

    def show(self, options: Json, **lies: Any) -> Json:
        """The answer to request options. Lies: origin, rp_id, challenge, type, flags, count, handle, key, id."""
        self.count += self.step
        data = self._describe_state(lies)
        client_data = self._describe_client("webauthn.get", options, lies)
        signed = data + hashlib.sha256(client_data).digest()
        signature = lies.get("key", self.key).sign(signed, ec.ECDSA(hashes.SHA256()))
        handle = lies.get("handle", self.user_handle)
        credential_id = to_text(lies.get("id", self.credential_id))
        return {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "response": {
                "clientDataJSON": to_text(client_data),
                "authenticatorData": to_text(data),
                "signature": to_text(signature),
                "userHandle": None if handle is None else to_text(handle),
            },
        }

    def _describe_state(self, lies: Json, more_flags: int = 0) -> bytes:
        rp_hash = hashlib.sha256(lies.get("rp_id", self.rp_id).encode()).digest()
        flags = lies.get("flags", self.flags) | more_flags
        return rp_hash + bytes([flags]) + int(lies.get("count", self.count)).to_bytes(4, "big")

    def _describe_client(self, kind: str, options: Json, lies: Json) -> bytes:
        client_data = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", options["challenge"]),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(client_data).encode()
