"""What a deployment decides about the contract; the names are PostgREST's."""

from dataclasses import dataclass, field
from typing import Literal

from pgrest.address import LOCAL, ApiAddress

Name = tuple[str, str]
"""(schema, name) of a table, view, function or type."""


@dataclass(frozen=True, slots=True)
class RestConfig:
    schemas: tuple[str, ...] = ("public",)
    extra_search_path: tuple[str, ...] = ("public",)
    max_rows: int | None = None
    aggregates_enabled: bool = False
    plan_enabled: bool = False
    tx_end: Literal["commit", "rollback"] = "commit"
    tx_override: bool = False
    reads_roll_back: bool = False
    """Ours, not PostgREST's: a read ends in ROLLBACK, so that nothing of it can stay."""
    openapi_mode: Literal["follow-privileges", "ignore-privileges", "disabled"] = "follow-privileges"
    openapi_security: bool = False
    served_at: ApiAddress = LOCAL
    root_spec: Name | None = None
    pre_request: Name | None = None
    hoisted_settings: tuple[str, ...] = (
        "statement_timeout",
        "plan_filter.statement_cost_limit",
        "default_transaction_isolation",
    )
    app_settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    max_body_bytes: int = 50_000_000
    calls_unknown_names: bool = True
    """Whether a name that is no column may mean any function that PostgreSQL finds, as in PostgREST.

    Otherwise only the functions that the snapshot has as computed columns.
    """
