"""What a person sees of frozen sessions and of refusals."""

import re
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest

from basewarden.journal import RefusalLog
from tests.fixtures.bench import Bench, Workshop

_SHOP = (
    "CREATE TABLE prices (id int PRIMARY KEY, amount int); INSERT INTO prices SELECT n, n FROM generate_series(1, 9) n"
)


async def freeze(bench: Bench) -> str:
    """A session that has used up its one write, and was refused two more; its page."""
    agent = await bench.agent(name="Robot", maxWritesPerSession=1)
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5})).session_id
    for number in (2, 3):
        await agent.http.patch(f"/prices?id=eq.{number}", json={"amount": 5})
    await bench.product.registry.get(RefusalLog).flush()
    return f"/c/{bench.connection_id}/sessions/{session}"


async def test_a_frozen_session_says_so_and_is_released(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    page = await freeze(bench)
    shown = (await bench.person.get(page)).text
    assert "This session is frozen" in shown
    assert "It used up the writes or rows that its token allows" in shown
    assert "2 requests" in shown
    assert "PATCH /prices?id=eq.…" in shown
    assert "the session is frozen" in shown
    assert "2 times" in shown
    listed = (await bench.person.get(f"/c/{bench.connection_id}/sessions?status=frozen")).text
    assert page in listed
    assert "2 requests blocked" in listed
    for state in (shown, (await bench.person.get(f"/c/{bench.connection_id}/sessions")).text):
        assert "</span>frozen</span>" in state
        assert "</span>running</span>" not in state
    assert (await bench.person.post(f"{page}/release")).status_code == 422
    released = await bench.person.post(f"{page}/release", data={"reason": "as planned"})
    assert released.headers["location"] == f"{page}?done=released"
    shown = (await bench.person.get(page)).text
    assert "This session is frozen" not in shown
    assert "Freeze" in shown
    assert "You released this session" in shown
    assert "as planned" in shown
    await bench.person.post(f"{page}/freeze")
    assert "A member froze it" in (await bench.person.get(page)).text


async def test_what_was_blocked_is_on_the_home_and_the_agents_page(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    home = f"/c/{bench.connection_id}"
    assert "tried to" not in (await bench.person.get(home)).text
    assert "No blocked requests" in (await bench.person.get(f"{home}/refusals")).text
    await freeze(bench)
    shown = (await bench.person.get(home)).text
    assert "tried to change prices" in shown
    assert re.search(r'Blocked, 24 h</span>\s*<span class="figure">2<', shown)
    assert '2<span class="visually-hidden"> blocked requests of' in (await bench.person.get(f"{home}/agents")).text
    page = (await bench.person.get(f"{home}/refusals")).text
    assert "PATCH /prices?id=eq.…" in page
    assert 'Change prices <span class="cell-note">(filter on id)</span>' in page
    assert "2 in 7 days, all in the last 24 hours." in page


async def test_a_write_that_was_too_large_names_the_limit(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerWrite=4)
    assert (await agent.http.delete("/prices?amount=gte.3&id=gt.0")).status_code == 403
    assert (await agent.http.delete("/prices")).status_code == 400
    await bench.product.registry.get(RefusalLog).flush()
    page = (await bench.person.get(f"/c/{bench.connection_id}/refusals")).text
    assert "Over the limit of 4 rows per write, with rows by foreign keys; nothing was deleted" in page
    assert "(filter on amount and id)" in page
    assert "2 in 7 days, all in the last 24 hours." in page


async def test_blocked_requests_are_listed_for_one_agent(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    await freeze(bench)
    reader = await bench.agent(name="<b>Reader", access="read")
    await reader.http.post("/prices", json={"id": 100})
    await bench.product.registry.get(RefusalLog).flush()
    home = f"/c/{bench.connection_id}"
    page = (await bench.person.get(f"{home}/refusals?agent={reader.id}")).text
    assert "Blocked requests of &lt;b&gt;Reader" in page
    assert f'href="{home}/agents/{reader.id}"' in page
    assert "POST /prices" in page
    assert "PATCH /prices" not in page
    own = (await bench.person.get(f"{home}/agents/{reader.id}")).text
    assert "the token is read-only" in own
    assert f'href="{home}/refusals?agent={reader.id}"' in own
    unused = await bench.agent()
    assert "No blocked requests match" in (await bench.person.get(f"{home}/refusals?agent={unused.id}")).text


async def test_the_empty_list_does_not_ask_for_an_agent_that_is_there(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    sessions = f"/c/{bench.connection_id}/sessions"
    assert ">Create an agent</span></a>" in (await bench.person.get(sessions)).text
    await bench.agent()
    shown = (await bench.person.get(sessions)).text
    assert ">Create an agent</span></a>" not in shown
    assert "Open agents" in shown


async def test_the_empty_list_asks_only_owners_for_an_agent(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    sessions = f"/c/{bench.connection_id}/sessions"
    for role in ("viewer", "editor"):
        shown = (await (await bench.member(role)).get(sessions)).text
        assert "No sessions yet" in shown
        assert ">Create an agent</span></a>" not in shown
        assert "Only an owner of this connection can create one." in shown
    assert "Only an owner" not in (await bench.person.get(sessions)).text


@pytest.mark.parametrize(("page", "name"), [("sessions", "sessions"), ("refusals", "blocked requests")])
async def test_a_page_after_the_last_one_leads_back_to_the_first(workshop: Workshop, page: str, name: str) -> None:
    bench = await workshop.bench(_SHOP)
    await freeze(bench)
    here = f"/c/{bench.connection_id}/{page}"
    after_all = urlsafe_b64encode(f"2000-01-01T00:00:00+00:00 {UUID(int=0)}".encode()).decode().rstrip("=")
    shown = (await bench.person.get(here, params={"cursor": after_all})).text
    assert f"No more {name}" in shown
    assert f"No {name}" not in shown
    assert f'href="{here}" rel="prev"' in shown


async def test_a_viewer_neither_freezes_nor_sees_what_only_owners_open(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    page = await freeze(bench)
    viewer = await bench.member("viewer")
    shown = (await viewer.get(page)).text
    assert "This session is frozen" in shown
    assert "Release" not in shown
    settings = f"/c/{bench.connection_id}/settings"
    assert settings not in shown
    assert settings in (await bench.person.get(page)).text
    refused = await viewer.get(settings)
    assert refused.status_code == 403
    assert f'href="{settings}"' not in refused.text
    search = {"q": "sett", "in": bench.connection_id}
    assert f'href="{settings}"' in (await bench.person.get("/palette", params=search)).text
    assert f'href="{settings}"' not in (await viewer.get("/palette", params=search)).text
    assert (await viewer.post(f"{page}/release")).status_code == 403
    assert (
        await viewer.post(f"/api/connections/{bench.connection_id}{page[page.index('/sessions') :]}/release")
    ).status_code == 403
