"""The form that changes an agent: what it begins with, and what of it a person has changed.

The form brings along a digest of each field as it was when the page was opened. A field that still has this value is
not sent on, so that two people who edit an agent at once each change only what they touched.
"""

import json
from collections.abc import Mapping
from datetime import UTC
from hashlib import sha256
from typing import Any

from pydantic import model_validator

from basewarden.connections.agent_forms import AgentForm, copy_agent
from basewarden.connections.agent_words import Policy
from basewarden.connections.models import Agent
from basewarden.connections.schemas import AgentChange, AgentCreate

FORM_BASE = "formBase"
_DIGEST_LENGTH = 16
_INPUTS = {"tables": ("reach",), "columns": ("columns", "columnRule"), "expiresAt": ("expiry", "expiresAt")}
"""The inputs of a field that has not one of its own name."""
_NEEDS_VALUE = ("maxRowsPerWrite", "maxWritesPerSession")
"""Limits that there always are: an empty input changes nothing."""


class AgentEditForm(AgentForm):
    """Leaves an expiry out that was not touched: it may be over, and is then no date that could be chosen."""

    @model_validator(mode="before")
    @classmethod
    def _keep_expiry(cls, data: Any) -> Any:
        if isinstance(data, dict) and _keeps_expiry(data):
            return {name: value for name, value in data.items() if name not in _INPUTS["expiresAt"]}
        return data


def fill_in_edit(agent: Agent) -> dict[str, str]:
    """Returns the values that the form begins with."""
    values = copy_agent(agent) | {FORM_BASE: _make_base(agent)}
    if agent.expires_at is None:
        return values | {"expiry": "never"}
    return values | {"expiry": "date", "expiresAt": agent.expires_at.astimezone(UTC).date().isoformat()}


def make_change(wanted: AgentCreate, typed: Mapping[str, str]) -> AgentChange:
    """Makes the change of those fields that differ from what the form began with, and that it has at all."""
    known = _read_base(typed)
    changed = [
        name for name, digest in _digest_fields(wanted).items() if known.get(name) != digest and _is_sent(name, typed)
    ]
    values = wanted.model_dump(by_alias=True)
    return AgentChange.model_validate({name: values[name] for name in changed})


def _is_sent(name: str, typed: Mapping[str, str]) -> bool:
    if name in _NEEDS_VALUE:
        return bool(typed.get(name))
    if name == "expiresAt" and _keeps_expiry(typed):
        return False
    return any(one in typed for one in _INPUTS.get(name, (name,)))


def _keeps_expiry(typed: Mapping[str, Any]) -> bool:
    """Whether the last day is the one that the form began with."""
    day = typed.get("expiresAt")
    is_date = bool(day) and typed.get("expiry", "date") == "date"
    return is_date and _read_base(typed).get("expiresAt") == _digest(day)


def _read_base(typed: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the fields, by the name in the API."""
    return dict(part.split(":", 1) for part in typed.get(FORM_BASE, "").split() if ":" in part)


def _make_base(agent: Agent) -> str:
    return " ".join(f"{name}:{digest}" for name, digest in _digest_fields(agent).items())


def _digest_fields(policy: Policy) -> dict[str, str]:
    """By the name in the API. A form knows the day of the expiry only; and whether no functions are all depends."""
    functions = [sorted(policy.function_names or ()), policy.table_access is None, bool(policy.columns)]
    fields: dict[str, Any] = {
        "name": policy.name,
        "access": policy.access,
        "tables": policy.table_access,
        "functions": functions,
        "columns": policy.columns or None,
        "dbRole": policy.db_role,
        "claims": policy.claims or None,
        "maxRowsPerWrite": policy.max_rows_per_write,
        "maxWritesPerSession": policy.max_writes_per_session,
        "maxRowsPerSession": policy.max_rows_per_session,
        "maxRowsPerHour": policy.max_rows_per_hour,
        "maxReadRowsPerHour": policy.max_read_rows_per_hour,
        "requestsPerMinute": policy.requests_per_minute,
        "expiresAt": policy.expires_at and policy.expires_at.astimezone(UTC).date().isoformat(),
    }
    return {name: _digest(value) for name, value in fields.items()}


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]
