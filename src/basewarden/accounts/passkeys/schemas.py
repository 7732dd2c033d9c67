"""The JSON of WebAuthn between browser and server. Bytes are base64url text."""

import base64
import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from basewarden.core.text import clean_line
from basewarden.web import ResponseBody

MAX_NAME = 60
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_MAX_ID = 1023  # the standard's own limit
_MAX_PART = 6144


def _decoder(longest: int, *, shortest: int = 1) -> BeforeValidator:
    """The length is checked here too, so that an error shows the text that was sent."""

    def decode(value: Any) -> bytes:
        if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
            raise ValueError("must be base64url text")
        text = value.rstrip("=")
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if not shortest <= len(decoded) <= longest:
            raise ValueError(f"must hold {shortest} to {longest} bytes")
        return decoded

    return BeforeValidator(decode)


_AsText = WithJsonSchema({"type": "string", "contentEncoding": "base64url"})
CredentialId = Annotated[bytes, _decoder(_MAX_ID), _AsText]
Part = Annotated[bytes, _decoder(_MAX_PART), _AsText]
UserHandle = Annotated[bytes, _decoder(64, shortest=0), _AsText]
Name = Annotated[str, AfterValidator(clean_line), Field(min_length=1, max_length=MAX_NAME)]


class BrowserPart(BaseModel):
    """Unknown members are ignored, because browsers add some as the standard grows."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class AttestationResponse(BrowserPart):
    client_data_json: Part = Field(alias="clientDataJSON")
    attestation_object: Part
    transports: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=16)] = []


class RegistrationResponse(BrowserPart):
    """The result of `navigator.credentials.create()`."""

    id: CredentialId
    type: Literal["public-key"]
    response: AttestationResponse


class AssertionResponse(BrowserPart):
    client_data_json: Part = Field(alias="clientDataJSON")
    authenticator_data: Part
    signature: Part
    user_handle: UserHandle | None = None


class AuthenticationResponse(BrowserPart):
    """The result of `navigator.credentials.get()`."""

    id: CredentialId
    type: Literal["public-key"]
    response: AssertionResponse


class PasskeyRegistration(BrowserPart):
    challenge_id: UUID
    credential: RegistrationResponse
    name: Name | None = None


class PasskeyAssertion(BrowserPart):
    challenge_id: UUID
    credential: AuthenticationResponse


class PasskeyRename(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class OptionsOut(ResponseBody):
    """`publicKey` is for `navigator.credentials`, with its bytes as base64url text."""

    challenge_id: UUID
    public_key: dict[str, Any]


class PasskeyAdded(ResponseBody):
    id: UUID
    name: str


class PasskeyOut(ResponseBody):
    id: UUID
    name: str
    is_backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class PasskeysOut(ResponseBody):
    passkeys: list[PasskeyOut]
