"""The parameters of a list's address, so that each of its links changes some of them and keeps the others."""

from urllib.parse import urlencode

from pydantic import BaseModel


class AddressParameters(BaseModel):
    def encode(self, **changes: object) -> str:
        """Returns the query string with some parameters changed; "" without any."""
        values = {name: value for name, value in {**self.model_dump(), **changes}.items() if value}
        return f"?{urlencode(values)}" if values else ""
