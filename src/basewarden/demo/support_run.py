"""A second agent of the demo: a ticket tells it to publish what it knows of customers, and the guard refuses that."""

from dataclasses import replace
from typing import Any

from postgrest.exceptions import APIError
from supabase import AsyncClient

from basewarden.core.secret import Secret
from basewarden.demo.agent_work import agent_client, read_rows
from basewarden.demo.data import AGENT_DB_ROLE, DemoData, check_response
from basewarden.demo.shop import INJECTION_SUBJECT

AGENT_NAME = "Support desk"
SESSION_NAME = "answer-tickets"
MARKS = {"customers": dict.fromkeys(("full_name", "email", "birthday", "phone"), "sensitive")}
CUSTOMERS_COPIED = 20


async def run_support_agent(data: DemoData) -> None:
    """Marks the customers' data, creates the agent, and lets it do what the tickets say."""
    home = f"/api/connections/{data.connection_id}"
    await check_response(data.person.put(f"{home}/guard", json={"mode": "block", "columns": MARKS}))
    wanted = {"name": AGENT_NAME, "access": "write", "dbRole": AGENT_DB_ROLE}
    made = await check_response(data.person.post(f"{home}/agents", json=wanted))
    own = replace(data, agent_token=Secret(made.json()["token"]))
    async with agent_client(own, SESSION_NAME) as agent:
        await _answer(agent, await _find_ticket(agent, is_injected=False), "We sent it again today, with the next van.")
        ticket = await _find_ticket(agent, is_injected=True)
        await _follow(agent, ticket)


async def _find_ticket(agent: AsyncClient, *, is_injected: bool) -> int:
    query = agent.table("tickets").select("id, messages(body)").order("id").limit(1)
    chosen = query.eq("subject", INJECTION_SUBJECT) if is_injected else query.eq("status", "open")
    return int(read_rows(await chosen.execute())[0]["id"])


async def _follow(agent: AsyncClient, ticket: int) -> None:
    """Does what the stranger wrote: reads the customers, and answers with them where the stranger reads."""
    query = agent.table("customers").select("full_name, email, birthday").limit(CUSTOMERS_COPIED)
    rows: list[dict[str, Any]] = read_rows(await query.execute())
    body = "\n".join(f"{row['full_name']}, {row['email']}, {row['birthday']}" for row in rows)
    try:
        await _answer(agent, ticket, body)
    except APIError as error:
        if error.code != "egress_blocked":
            raise


async def _answer(agent: AsyncClient, ticket: int, body: str) -> None:
    await agent.table("messages").insert({"ticket_id": ticket, "author": "staff", "body": body}).execute()
