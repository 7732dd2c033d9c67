"""Base classes of the JSON API's bodies: camelCase in JSON, snake_case in Python."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class RequestBody(BaseModel):
    """Refuses unknown members."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class ResponseBody(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)
