"""What a person does in the demo while the agent works: edits to two of the same rows."""

from decimal import Decimal
from typing import Any

from basewarden.demo.data import DemoData
from basewarden.errors import StartError


class PersonEdits:
    def __init__(self, data: DemoData) -> None:
        self._data = data
        self._price: dict[str, Any] = {}
        self._coupon: dict[str, Any] = {}

    async def choose_rows(self) -> None:
        """Remembers the rows as they are before the agent changes them."""
        self._price = (await self._request("GET", "/prices?select=id,amount&currency=eq.EUR&order=id&limit=1"))[0]
        self._coupon = (await self._request("GET", "/coupons?select=code,percent_off&order=code&limit=1"))[0]

    async def edit(self) -> list[str]:
        """Sets values that are neither the original nor the agent's; returns what was done in words."""
        amount = Decimal(str(self._price["amount"])) + Decimal("0.10")
        await self._request("PATCH", f"/prices?id=eq.{self._price['id']}", {"amount": str(amount)})
        percent = int(self._coupon["percent_off"]) % 40 + 1
        await self._request("PATCH", f"/coupons?code=eq.{self._coupon['code']}", {"percent_off": percent})
        return [
            f"corrects price {self._price['id']} to {amount} EUR",
            f"sets coupon {self._coupon['code']} back to {percent} percent",
        ]

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self._data.person.request(
            method,
            f"/api/v/{self._data.connection_id}/rest/v1{path}",
            json=body,
            headers={"Prefer": "return=minimal"},
        )
        if answer.is_error:
            raise StartError(f"The demo could not be set up: {method} {path} answered {answer.text}")
        return answer.json() if answer.content else None
