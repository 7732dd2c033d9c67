"""Two writes of a second agent, which wait for the person of the demo to approve or decline them."""

from typing import Any

import httpx

from basewarden.demo.data import AGENT_DB_ROLE, DemoData
from basewarden.errors import StartError

AGENT_NAME = "Catalogue assistant"
_TABLES = {"public.products": "propose", "public.tickets": "propose", "public.categories": "read"}
_WRITES = (
    ("launch", "products?status=eq.draft", 3, {"status": "active"}),
    ("old tickets", "tickets?status=eq.waiting_for_customer", 4, {"status": "closed"}),
)
"""The session's name, which rows, the first how many of them, and what they are set to."""


async def propose_writes(data: DemoData) -> None:
    wanted = {
        "name": AGENT_NAME,
        "access": "propose",
        "dbRole": AGENT_DB_ROLE,
        "tables": _TABLES,
        "maxRowsPerWrite": 100,
    }
    made = await data.person.post(f"/api/connections/{data.connection_id}/agents", json=wanted)
    if made.is_error:
        raise StartError(f"The demo could not be set up: the agent that proposes was refused with {made.text}")
    headers = {"apikey": made.json()["token"]}
    async with httpx.AsyncClient(base_url=f"{data.api}/rest/v1/", headers=headers, timeout=60) as agent:
        for name, rows, count, values in _WRITES:
            await _propose(agent, name, rows, count, values)


async def _propose(agent: httpx.AsyncClient, name: str, rows: str, count: int, values: dict[str, Any]) -> None:
    """The answer is 403 `approval_required`; a shop without such rows has nothing to propose."""
    found = await agent.get(f"{rows}&select=id&order=id&limit={count}")
    ids = ",".join(str(row["id"]) for row in found.json())
    if ids:
        path = f"{rows.partition('?')[0]}?id=in.({ids})"
        await agent.patch(path, json=values, headers={"x-basewarden-session": name})
