"""What callers send: an email address and a password."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, SecretStr

from basewarden.core.secret import Secret
from basewarden.core.text import check_encodable, clean_line

MAX_SENT_PASSWORD = 4096  # bounds the cost of hashing a guess


def _check_secret(value: SecretStr) -> SecretStr:
    check_encodable(value.get_secret_value())
    return value


SentPassword = Annotated[SecretStr, Field(max_length=MAX_SENT_PASSWORD), AfterValidator(_check_secret)]


class SignUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: EmailStr
    password: SentPassword
    name: Annotated[str, Field(max_length=120), AfterValidator(clean_line)] = ""


class SignIn(BaseModel):
    """The email may be any text: the answer is the same for text that is not an address."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=320), AfterValidator(check_encodable)]
    password: SentPassword


def reveal(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())
