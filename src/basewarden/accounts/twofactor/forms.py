"""Request bodies, with the same rules for the JSON API and the pages' forms."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from basewarden.accounts.password.schemas import SentPassword
from basewarden.core.text import check_encodable

_MAX_LENGTH = 64


def _check_code(value: SecretStr) -> SecretStr:
    check_encodable(value.get_secret_value())
    return value


SentCode = Annotated[SecretStr, Field(max_length=_MAX_LENGTH), AfterValidator(_check_code)]


class TwoFactorEnable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: SentCode
    code: SentCode


class VerificationForm(BaseModel):
    """With `recovery` the code is a recovery code, not one of the app."""

    model_config = ConfigDict(extra="forbid")

    code: SentCode
    recovery: bool = False


class TwoFactorDisable(BaseModel):
    """For an account without a password any text is accepted, and the sign-in must be fresh."""

    model_config = ConfigDict(extra="forbid")

    password: SentPassword
