"""Answers of agent names."""

from pydantic import Field

from basewarden.web import ResponseBody


class AgentNamesOut(ResponseBody):
    names: list[str] = Field(examples=[["price-bot"]])
    has_more: bool
