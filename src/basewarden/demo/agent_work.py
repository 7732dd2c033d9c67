"""What the demo's agent does through the data API: it reads, does a few sensible things, and then damage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from postgrest import CountMethod, ReturnMethod
from postgrest.exceptions import APIError
from supabase import AsyncClient, acreate_client

from basewarden.demo.data import DemoData

JUNK_ROWS = 40
GUESTS_TO_DELETE = 120
PrintLine = Callable[[str], None]


class AgentWork:
    """One session of the agent. `print_line` receives a transcript; `pause` seconds pass before each step."""

    def __init__(
        self, agent: AsyncClient, name: str, print_line: PrintLine, *, price: str = "0.01", pause: float = 0
    ) -> None:
        self.agent = agent
        self.name = name
        self.print_line = print_line
        self._price = price
        self._pause = pause

    async def read(self) -> None:
        await self._start("The agent reads")
        products = await (
            self.agent.table("products")
            .select("name, status, categories(name), prices(amount, currency)", count="exact")  # type: ignore[arg-type]  # its own literal
            .eq("status", "active")
            .order("name")
            .limit(3)
            .execute()
        )
        for product in read_rows(products):
            price = product["prices"][0] if product["prices"] else {"amount": "-", "currency": ""}
            self.print_line(
                f"  {product['name']} ({product['categories']['name']}): {price['amount']} {price['currency']}"
            )
        self.print_line(f"  … of {products.count} active products")
        found = await self.agent.rpc("search_products", {"q": "filter"}).execute()
        self.print_line(f"  search_products('filter') finds {len(read_rows(found))}")

    async def work(self) -> None:
        await self._start("It does a few sensible things")
        tickets = self.agent.table("tickets").select("id, subject").eq("status", "open").order("id").limit(1)
        ticket = read_rows(await tickets.execute())[0]
        await (
            self.agent.table("messages")
            .insert(
                {
                    "ticket_id": ticket["id"],
                    "author": "staff",
                    "body": "Thank you for writing. We are looking into it.",
                }
            )
            .execute()
        )
        await self.agent.table("tickets").update({"status": "waiting_for_customer"}).eq("id", ticket["id"]).execute()
        self.print_line(f"  answers ticket {ticket['id']}, “{ticket['subject']}”, and sets it to waiting")

    async def cause_damage(self) -> None:
        await self._start("Then it goes wrong")
        prices = await self.agent.table("prices").update({"amount": self._price}).eq("currency", "EUR").execute()
        self.print_line(f"  sets {len(read_rows(prices))} prices to {self._price} EUR")
        oldest = self.agent.table("customers").select("id").eq("tier", "guest").order("created_at")
        guests = read_rows(await oldest.limit(GUESTS_TO_DELETE).execute())
        gone = (
            self.agent.table("customers")
            .delete(count=CountMethod.exact, returning=ReturnMethod.minimal)
            .in_("id", [row["id"] for row in guests])
        )
        deleted = (await gone.execute()).count
        self.print_line(f"  deletes {deleted} customers, and by cascade the rows that refer to them")
        junk: list[Any] = [
            {"email": f"asdf{number}.{self.name}@example.org", "full_name": f"Test Test {number}"}
            for number in range(JUNK_ROWS)
        ]
        await self.agent.table("customers").insert(junk, returning=ReturnMethod.minimal).execute()
        self.print_line(f"  inserts {len(junk)} made-up customers")
        real = self.agent.table("coupons").select("code, title, valid").order("code").limit(10)
        coupons = read_rows(await real.execute())
        await self.agent.table("coupons").upsert([{**coupon, "percent_off": "100"} for coupon in coupons]).execute()
        self.print_line(f"  upserts {len(coupons)} real coupons to 100 percent off")

    async def attempt_too_much(self) -> None:
        """Deletes all orders: with what refers to them more rows than policy allows for a write."""
        await self._start("It tries to delete all orders")
        try:
            await self.agent.table("orders").delete().gte("placed_at", "2000-01-01").execute()
        except APIError as error:
            self.print_line(f"  refused: {error.message}")

    async def _start(self, title: str) -> None:
        await asyncio.sleep(self._pause)
        self.print_line("")
        self.print_line(title)


@asynccontextmanager
async def agent_client(data: DemoData, session: str) -> AsyncIterator[AsyncClient]:
    """A Supabase client with the agent's token, whose writes form the session of that name."""
    agent = await acreate_client(data.api, data.agent_token.reveal())
    agent.postgrest.headers["x-basewarden-session"] = session
    try:
        yield agent
    finally:
        await agent.postgrest.aclose()


def read_rows(answer: Any) -> Any:
    """Returns the rows of a Supabase response, which its own type only declares as JSON."""
    return answer.data
