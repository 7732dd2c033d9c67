"""What Slack and Discord get: their own shapes, in which no name becomes markup, a link or a mention."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from basewarden.alerts.bodies import make_body
from basewarden.alerts.models import AlertChannel
from basewarden.alerts.payloads import MessageConnection, MessageData, MessageItem, MessagePayload
from tests.alerts.conftest import NOTES, add_alert, block
from tests.fakes.hostile import HostileServer
from tests.fixtures.bench import Workshop

HOSTILE = [
    "<!channel> <@U123> <https://evil.example|click>",
    "@everyone @here <@&123> <#456>",
    "[click](https://evil.example) https://evil.example",
    "*bold* _it_ ~~gone~~ `code` ||spoiler|| ```block```",
    "> quote\n# head\n- item",
    '"}],"text":"broken',
    "& &lt; &amp;",
    "a\\*b\\",
]


def make_payload(*names: str, more: int = 0) -> str:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    items = tuple(MessageItem(name, "https://base.example/c/1", {}) for name in names)
    connection = MessageConnection(UUID(int=1), "Shop", "production")
    title = f"{len(names)} requests were blocked on {names[0]}"
    data = MessageData(title, "https://base.example/c/1/refusals", connection, len(names), now, now, items, more)
    return MessagePayload("write_refused", now, data).encode()


def read_body(channel: AlertChannel, payload: str) -> Any:
    return json.loads(make_body(channel, payload))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_plain_text_in_slack(name: str) -> None:
    body = read_body(AlertChannel.SLACK, make_payload(name))
    text, link = body["blocks"]
    assert text["text"]["type"] == "plain_text"
    assert f"\u2022 {name}" in text["text"]["text"]
    assert link["text"]["text"] == "<https://base.example/c/1/refusals|Open in Basewarden>"
    assert body["mrkdwn"] is False
    assert not {"<", ">"} & set(body["text"])
    assert re.findall(r"&(?!amp;|lt;|gt;)", body["text"]) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_plain_text_in_discord(name: str) -> None:
    body = read_body(AlertChannel.DISCORD, make_payload(name))
    assert body["allowed_mentions"] == {"parse": []}
    [embed] = body["embeds"]
    assert embed["url"] == "https://base.example/c/1/refusals"
    for shown in (embed["title"], embed["description"].removeprefix("- ")):
        unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)
        assert re.findall(r"[!-/:-@\[-`{-~]", unescaped) == [], "each sign is escaped"
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", embed["description"]) == f"- {name}"


def test_messages_keep_to_the_limits_of_their_services() -> None:
    payload = make_payload(*(["*" * 900] * 10), more=1234)
    slack, discord = (read_body(channel, payload) for channel in (AlertChannel.SLACK, AlertChannel.DISCORD))
    assert len(slack["blocks"][0]["text"]["text"]) <= 3000
    assert len(discord["embeds"][0]["title"]) <= 256
    assert len(discord["embeds"][0]["description"]) <= 4096
    assert not discord["embeds"][0]["description"].replace("\\*", "").endswith("\\")
    short = read_body(AlertChannel.SLACK, make_payload("one", more=1234))
    assert short["blocks"][0]["text"]["text"].endswith("and 1,234 more")


@pytest.mark.parametrize("channel", ["slack", "discord"])
async def test_they_are_sent(workshop: Workshop, receiver: HostileServer, channel: str) -> None:
    bench = await workshop.bench(NOTES, name="Shop <!here> @everyone")
    alert = await add_alert(bench, receiver, channel=channel, events=["write_refused"])
    await block(bench)
    await alert.wait(state="delivered")
    [heard] = receiver.heard
    assert ("blocks" in json.loads(heard.body), "embeds" in json.loads(heard.body)) == (
        channel == "slack",
        channel == "discord",
    )
    assert "webhook-signature" not in heard.headers
