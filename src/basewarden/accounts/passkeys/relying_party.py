"""The WebAuthn relying party: makes options for the browser, and verifies its responses. It has no state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
    parse_cbor,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from basewarden.accounts.models import Passkey
from basewarden.accounts.passkeys.schemas import AuthenticationResponse, RegistrationResponse
from basewarden.settings import Settings

TIMEOUT_SECONDS = 5 * 60
_RP_NAME = "Basewarden"
_TRANSPORTS = frozenset(transport.value for transport in AuthenticatorTransport)
# We request no attestation; "packed" is the self-attestation of a key that names no manufacturer.
_FORMATS = (AttestationFormat.NONE, AttestationFormat.PACKED)
# The library indexes into a sent public key without checks.
_BAD_KEY = (LookupError, TypeError, ValueError)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewCredential:
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """What a verified assertion says about its authenticator."""

    sign_count: int
    is_backed_up: bool


class RelyingParty:
    """This site, which passkeys identify by the host of our origin."""

    def __init__(self, settings: Settings) -> None:
        self._origin = settings.origin
        self._id = urlsplit(settings.origin).hostname or ""

    def make_creation_options(
        self, challenge: bytes, *, user_id: UUID, email: str, name: str, have: Iterable[Passkey]
    ) -> dict[str, Any]:
        """Requires a discoverable credential with user verification that is not registered yet."""
        options = generate_registration_options(
            rp_id=self._id,
            rp_name=_RP_NAME,
            user_id=user_id.bytes,
            user_name=email,
            user_display_name=name or email,
            challenge=challenge,
            timeout=TIMEOUT_SECONDS * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_describe(have),
        )
        return options_to_json_dict(options)

    def make_request_options(self, challenge: bytes, *, of: Sequence[Passkey] = ()) -> dict[str, Any]:
        """Without `of` any passkey of this site is accepted, so that the options reveal nothing about an account."""
        options = generate_authentication_options(
            rp_id=self._id,
            challenge=challenge,
            timeout=TIMEOUT_SECONDS * 1000,
            allow_credentials=_describe(of),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    def verify_registration(self, sent: RegistrationResponse, challenge: bytes) -> NewCredential | None:
        """The new credential, or None where the verification fails."""
        if not _is_plain_attestation(sent.response.attestation_object):
            return None
        credential = RegistrationCredential(
            id=bytes_to_base64url(sent.id),
            raw_id=sent.id,
            response=AuthenticatorAttestationResponse(sent.response.client_data_json, sent.response.attestation_object),
        )
        try:
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._id,
                expected_origin=self._origin,
                require_user_verification=True,
            )
            decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
        except (WebAuthnException, *_BAD_KEY) as error:
            _log_refusal(error)
            return None
        if made.credential_id != sent.id:
            return None
        transports = [name for name in dict.fromkeys(sent.response.transports) if name in _TRANSPORTS]
        return NewCredential(
            sent.id, made.credential_public_key, made.sign_count, transports, made.credential_backed_up
        )

    def verify_assertion(
        self, sent: AuthenticationResponse, challenge: bytes, passkey: Passkey
    ) -> AssertionResult | None:
        """Verifies that the key has signed this challenge on our origin, with user verification; None where it fails.

        The sign count is not checked here, because a response without a valid signature must not report a clone.
        """
        response = sent.response
        credential = AuthenticationCredential(
            id=bytes_to_base64url(sent.id),
            raw_id=sent.id,
            response=AuthenticatorAssertionResponse(
                response.client_data_json, response.authenticator_data, response.signature, response.user_handle
            ),
        )
        try:
            shown = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._id,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except WebAuthnException as error:
            _log_refusal(error)
            return None
        return AssertionResult(shown.new_sign_count, shown.credential_backed_up)


def _describe(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id, transports=[AuthenticatorTransport(name) for name in passkey.transports]
        )
        for passkey in passkeys
    ]


def _is_plain_attestation(attestation_object: bytes) -> bool:
    """Checked before the library parses it, which would allocate as many bytes as a number in `authData` says."""
    try:
        attestation = parse_cbor(attestation_object)
    except WebAuthnException:
        return False
    return (
        isinstance(attestation, dict)
        and isinstance(attestation.get("authData"), bytes)
        and isinstance(attestation.get("attStmt"), dict)
        and attestation.get("fmt") in _FORMATS
        and "x5c" not in attestation["attStmt"]
    )


def _log_refusal(error: Exception) -> None:
    """Helps an operator with a wrong origin; text from the browser is cut."""
    _log.info("passkey.refused", reason=type(error).__name__, text=str(error)[:200])
