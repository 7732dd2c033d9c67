"""What each channel gets of a message. Names in it may be chosen to harm: they never become markup or a mention."""

import string
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from basewarden.alerts.models import AlertChannel
from basewarden.alerts.payloads import MessageData, decode_payload

_OPEN = "Open in Basewarden"
_MAX_SLACK_TEXT = 2900
_MAX_DISCORD_TEXT = 4000
_MAX_DISCORD_TITLE = 250
_SLACK_SIGNS = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_DISCORD_SIGNS = {ord(sign): f"\\{sign}" for sign in string.punctuation}
"""An escaped sign formats nothing, mentions no one and breaks addresses, which Discord would turn into links."""


def make_body(channel: str, payload: str) -> bytes:
    """Returns the body of the request to a target."""
    if channel == AlertChannel.WEBHOOK:
        return payload.encode()
    return msgspec.json.encode(_MAKERS[channel](decode_payload(payload).data))


def list_lines(data: MessageData) -> list[str]:
    """Lists the things that a message names, and how many others there are."""
    lines = [item.text for item in data.items]
    return [*lines, f"and {data.more_items:,} more"] if data.more_items else lines


def _make_slack(data: MessageData) -> dict[str, Any]:
    """Names are in `plain_text`, in which Slack finds no formatting, mentions or links."""
    text = "\n".join([data.title, *(f"\u2022 {line}" for line in list_lines(data))])
    return {
        "text": data.title.translate(_SLACK_SIGNS),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "section", "text": {"type": "plain_text", "text": _cut(text, _MAX_SLACK_TEXT), "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"<{data.url}|{_OPEN}>", "verbatim": True}},
        ],
    }


def _make_discord(data: MessageData) -> dict[str, Any]:
    lines = [f"- {line.translate(_DISCORD_SIGNS)}" for line in list_lines(data)]
    return {
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": _cut(data.title, _MAX_DISCORD_TITLE // 2).translate(_DISCORD_SIGNS),
                "url": data.url,
                "description": _join(lines, _MAX_DISCORD_TEXT),
            }
        ],
    }


_MAKERS: Mapping[str, Callable[[MessageData], dict[str, Any]]] = {
    AlertChannel.SLACK: _make_slack,
    AlertChannel.DISCORD: _make_discord,
}


def _join(lines: list[str], most: int) -> str:
    """Joins whole lines only: a cut could end between an escape and its sign."""
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(kept) + len(line) > most:
            break
        kept.append(line)
    return "\n".join(kept)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
