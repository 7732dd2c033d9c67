"""Response bodies that several capabilities share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from basewarden.web import ResponseBody


class Done(BaseModel):
    ok: Literal[True] = True


class EmailSent(BaseModel):
    """`configured` false: this deployment sends no emails."""

    ok: Literal[True] = True
    configured: bool


class StoredOut(ResponseBody):
    model_config = ConfigDict(from_attributes=True)
