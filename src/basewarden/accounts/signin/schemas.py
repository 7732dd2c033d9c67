"""The response body of every way to sign in."""

from typing import Literal

from pydantic import BaseModel


class SignedInOut(BaseModel):
    ok: Literal[True] = True
    mfaRequired: bool = False  # noqa: N815 - the contract's name
